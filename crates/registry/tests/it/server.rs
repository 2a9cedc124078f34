//! A server of canned answers, which remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Status line and headers, and a body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { head: format!("200 OK\r\nContent-Length: {}", body.len()), body }
    }

    pub(crate) fn of(head: &str) -> Self {
        Self { head: format!("{head}\r\nContent-Length: 0"), body: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By path, for those who show this authorization; each is given once, but the last for ever.
    answers: HashMap<(String, Option<String>), Vec<Answer>>,
    asked: Vec<(String, Option<String>)>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Self { host, state: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move { own.serve(socket).await });
            }
        });
        server
    }

    /// Answers a path so, for those who show this authorization.
    pub(crate) fn answer(&self, path: &str, authorization: Option<&str>, answer: Answer) {
        let key = (path.to_owned(), authorization.map(str::to_owned));
        self.state.lock().unwrap().answers.entry(key).or_default().push(answer);
    }

    /// What was asked for, with which authorization.
    pub(crate) fn asked(&self) -> Vec<(String, Option<String>)> {
        self.state.lock().unwrap().asked.clone()
    }

    async fn serve(&self, mut socket: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_gone) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let authorization = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        let answer = {
            let mut state = self.state.lock().unwrap();
            state.asked.push((path.clone(), authorization.clone()));
            match state.answers.get_mut(&(path, authorization)) {
                Some(answers) if answers.len() > 1 => answers.remove(0),
                Some(answers) => answers[0].clone(),
                None => Answer::of("404 Not Found"),
            }
        };
        let head = format!("HTTP/1.1 {}\r\nConnection: close\r\n\r\n", answer.head);
        let _gone = socket.write_all(&[head.as_bytes(), &answer.body].concat()).await;
    }
}
