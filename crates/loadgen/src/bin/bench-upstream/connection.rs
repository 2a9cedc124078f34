//! One connection: request after request until the peer has enough.

use std::cell::Cell;
use std::io;
use std::sync::LazyLock;

use loadgen::head::{HEAD_BYTES_MAX, Head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::route::Route;
use crate::{bulk, echo, events};

/// The whole answer of `/1k`, in one piece.
static ONE_KIBIBYTE: LazyLock<Vec<u8>> = LazyLock::new(|| text_reply("200 OK", &"x".repeat(1024)));

thread_local! {
    static N_REQUESTS: Cell<u64> = const { Cell::new(0) };
}

/// What to do after an answer.
pub(crate) enum Next {
    /// Wait for another request.
    Request,
    /// Close the connection.
    Close,
}

/// Serves a connection to its end; a peer that breaks off is nothing to tell.
pub(crate) async fn serve(mut stream: TcpStream) {
    let _broken_off = requests(&mut stream).await;
}

async fn requests(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let (route, length) = match Head::find(&buffer).map_err(io::Error::other)? {
            Some((head, length)) => (Route::of(&head), length),
            None => {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        buffer.drain(..length);
        N_REQUESTS.set(N_REQUESTS.get() + 1);
        match answer(stream, route, &mut buffer).await? {
            Next::Request => buffer.shrink_to(HEAD_BYTES_MAX),
            Next::Close => return Ok(()),
        }
    }
}

/// Answers one request; `buffer` holds what came after its head.
async fn answer(stream: &mut TcpStream, route: Route, buffer: &mut Vec<u8>) -> io::Result<Next> {
    match route {
        Route::OneKibibyte => stream.write_all(&ONE_KIBIBYTE).await?,
        Route::Requests => {
            let counted = text_reply("200 OK", &N_REQUESTS.get().to_string());
            stream.write_all(&counted).await?;
        }
        Route::Down(n_bytes) => bulk::down(stream, n_bytes).await?,
        Route::Up(n_bytes) => {
            bulk::up(stream, n_bytes, buffer).await?;
            stream.write_all(&text_reply("200 OK", &n_bytes.to_string())).await?;
        }
        Route::Events(period_ms) => return events::serve(stream, period_ms).await,
        Route::Echo(key) => return echo::serve(stream, &key, buffer).await,
        Route::Unknown => {
            stream.write_all(&text_reply("400 Bad Request", "see route.rs\n")).await?;
            return Ok(Next::Close);
        }
    }
    Ok(Next::Request)
}

fn text_reply(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
