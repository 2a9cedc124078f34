//! Whether a service answers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Longest wait for the answer to one question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of that answer: its first line.
const ANSWER_BYTES_MAX: usize = 64;

/// Asks for a path, and whether the answer is one of 200 to 399.
pub(crate) async fn is_well(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> bool {
    let exchange = async {
        let question =
            format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES_MAX {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        io::Result::Ok(answer)
    };
    let Ok(Ok(answer)) = timeout(ANSWER_TIMEOUT, exchange).await else { return false };
    let line = String::from_utf8_lossy(&answer);
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok());
    line.starts_with("HTTP/") && status.is_some_and(|status| (200..400).contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_of_200_to_399_is_well() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.0 302 Found\r\n", true),
            ("HTTP/1.1 503 Later\r\n", false),
            ("HTTP/1.1 404\r\n", false),
            ("220 smtp\r\n", false),
            ("", false),
        ] {
            let (mut theirs, ours) = tokio::io::duplex(1024);
            let asked = tokio::spawn(async move { is_well(ours, "/up").await });
            let mut question = [0; 11];
            theirs.read_exact(&mut question).await.unwrap();
            assert_eq!(&question, b"GET /up HTT");
            theirs.write_all(answer.as_bytes()).await.unwrap();
            drop(theirs);
            assert_eq!(asked.await.unwrap(), expected, "{answer}");
        }
    }
}
