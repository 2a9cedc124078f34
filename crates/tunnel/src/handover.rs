//! The short way on one machine: a supervisor hands the controller sockets that are connected inside the container.
//!
//! A supervisor listens on `handover.sock` in its container's directory. Whoever may enter that directory (its owner, mode
//! 0700) connects, sends a port as two bytes, and gets one byte: 0 and, beside it, the connected socket (`SCM_RIGHTS`), or
//! the number of a [`RefuseReason`]. One question for each connection. After that the app's bytes go straight between
//! controller and container, so a request crosses one proxy and not two.
//!
//! Port 0, which no app can have, is a knock: a new controller asks to be noticed, and is answered with 0 alone.
//!
//! Where there is no such socket (another machine, another container backend), callers take the tunnel.

use crate::descriptors;
use crate::kind::RefuseReason;
use rustix::fd::AsFd;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Name of the socket in a container's directory.
pub const SOCKET_NAME: &str = "handover.sock";
/// Longest wait for a question or an answer; both ends are on one machine, and the dial inside has a deadline of 5 s.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The byte that comes with a socket.
const GIVEN: u8 = 0;
/// Stands in the place of a port.
const KNOCK: u16 = 0;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Nobody hands over sockets for this container here.
    #[error("no supervisor hands over sockets here")]
    NotHere(#[source] io::Error),
    /// The supervisor would not, or could not.
    #[error("the supervisor refused: {0}")]
    Refused(RefuseReason),
    /// The exchange broke off.
    #[error("the exchange with the supervisor broke off")]
    Broken(#[source] io::Error),
}

/// Asks the supervisor of the container in `dir` for a socket connected to `port` inside it.
///
/// Must be called in a tokio runtime; the socket is registered with it.
pub async fn ask(dir: &Path, port: u16) -> Result<TcpStream, HandoverError> {
    let (_held, short) = short_path(dir).map_err(HandoverError::NotHere)?;
    let mut connection = UnixStream::connect(short).await.map_err(HandoverError::NotHere)?;
    let exchange = async {
        connection.write_all(&port.to_be_bytes()).await?;
        descriptors::receive(&connection).await
    };
    let (answer, socket) = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange)
        .await
        .map_err(|_elapsed| HandoverError::Broken(io::ErrorKind::TimedOut.into()))?
        .map_err(HandoverError::Broken)?;
    match (answer, socket) {
        (GIVEN, Some(socket)) => {
            let socket = std::net::TcpStream::from(socket);
            socket.set_nonblocking(true).map_err(HandoverError::Broken)?;
            TcpStream::from_std(socket).map_err(HandoverError::Broken)
        }
        (GIVEN, None) => Err(HandoverError::Broken(io::ErrorKind::InvalidData.into())),
        (code, _none) => Err(HandoverError::Refused(RefuseReason::from_code(u32::from(code)))),
    }
}

/// Asks the supervisor of the container in `dir` to look which controllers there are.
pub async fn knock(dir: &Path) -> Result<(), HandoverError> {
    let (_held, short) = short_path(dir).map_err(HandoverError::NotHere)?;
    let mut connection = UnixStream::connect(short).await.map_err(HandoverError::NotHere)?;
    let exchange = async {
        connection.write_all(&KNOCK.to_be_bytes()).await?;
        connection.read_u8().await
    };
    match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
        Ok(Ok(GIVEN)) => Ok(()),
        Ok(Ok(code)) => Err(HandoverError::Refused(RefuseReason::from_code(u32::from(code)))),
        Ok(Err(error)) => Err(HandoverError::Broken(error)),
        Err(_elapsed) => Err(HandoverError::Broken(io::ErrorKind::TimedOut.into())),
    }
}

/// A supervisor's end.
#[derive(Debug)]
pub struct HandoverListener {
    listener: UnixListener,
    path: PathBuf,
}

impl HandoverListener {
    /// Listens in a container's directory; a socket left there by an earlier process is replaced.
    pub fn bind(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET_NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (_held, short) = short_path(dir)?;
        Ok(Self { listener: UnixListener::bind(short)?, path })
    }

    /// The next one who asks; its question is read by [`Question::asked`].
    pub async fn accept(&self) -> io::Result<Question> {
        let (connection, _address) = self.listener.accept().await?;
        Ok(Question { connection })
    }
}

impl Drop for HandoverListener {
    fn drop(&mut self) {
        // What is left is replaced by the next process, and goes with the directory.
        let _left = std::fs::remove_file(&self.path);
    }
}

/// One question for a socket. Dropped without an answer, the asker sees the exchange break off.
#[derive(Debug)]
pub struct Question {
    connection: UnixStream,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A socket that is connected to this port, 1 or more.
    Port(u16),
    /// To be noticed.
    Knock,
}

impl Question {
    /// What is asked for.
    pub async fn asked(&mut self) -> io::Result<Asked> {
        let mut port = [0; 2];
        let reading = self.connection.read_exact(&mut port);
        tokio::time::timeout(EXCHANGE_TIMEOUT, reading).await??;
        Ok(match u16::from_be_bytes(port) {
            KNOCK => Asked::Knock,
            port => Asked::Port(port),
        })
    }

    /// Answers a knock.
    pub async fn notice(mut self) -> io::Result<()> {
        self.connection.write_all(&[GIVEN]).await
    }

    /// Hands over a connected socket.
    pub async fn give(self, socket: impl AsFd) -> io::Result<()> {
        let sending = descriptors::send(&self.connection, GIVEN, socket);
        tokio::time::timeout(EXCHANGE_TIMEOUT, sending).await?
    }

    /// Says why there is none.
    pub async fn refuse(mut self, reason: RefuseReason) -> io::Result<()> {
        let code = u8::try_from(reason.code()).map_err(io::Error::other)?;
        self.connection.write_all(&[code]).await
    }
}

/// The socket's address by way of the open directory: an address holds 107 bytes, and a data directory may lie deeper.
fn short_path(dir: &Path) -> io::Result<(File, PathBuf)> {
    let dir = File::open(dir)?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(SOCKET_NAME);
    Ok((dir, short))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn dir() -> PathBuf {
        let name =
            format!("wharf-handover-{}-{:?}", std::process::id(), std::thread::current().id());
        let dir = std::env::temp_dir().join(name).join("x".repeat(100));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[tokio::test]
    async fn a_socket_is_handed_over_and_carries_bytes() {
        let dir = dir();
        let listener = HandoverListener::bind(&dir).unwrap();
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = app.local_addr().unwrap();
        let supervisor = async {
            let mut question = listener.accept().await.unwrap();
            assert_eq!(question.asked().await.unwrap(), Asked::Port(8888));
            let socket = TcpStream::connect(address).await.unwrap();
            question.give(&socket).await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(&dir, 8888), supervisor);
        let mut socket = asked.unwrap();
        let (mut accepted, _peer) = app.accept().await.unwrap();
        socket.write_all(b"ahoy").await.unwrap();
        let mut heard = [0; 4];
        accepted.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ahoy");
        std::fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_knock_is_noticed() {
        let dir = dir();
        assert!(matches!(knock(&dir).await, Err(HandoverError::NotHere(_))));
        let listener = HandoverListener::bind(&dir).unwrap();
        let supervisor = async {
            let mut question = listener.accept().await.unwrap();
            assert_eq!(question.asked().await.unwrap(), Asked::Knock);
            question.notice().await.unwrap();
        };
        let (knocked, ()) = tokio::join!(knock(&dir), supervisor);
        knocked.unwrap();
        std::fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_refusal_arrives_with_its_reason_and_nobody_is_not_here() {
        let dir = dir();
        assert!(matches!(ask(&dir, 80).await, Err(HandoverError::NotHere(_))));
        let listener = HandoverListener::bind(&dir).unwrap();
        let supervisor = async {
            let mut question = listener.accept().await.unwrap();
            question.asked().await.unwrap();
            question.refuse(RefuseReason::PortClosed).await.unwrap();
            drop(listener.accept().await.unwrap());
        };
        let asker = async {
            let refused = ask(&dir, 80).await;
            assert!(matches!(refused, Err(HandoverError::Refused(RefuseReason::PortClosed))));
            assert!(matches!(ask(&dir, 80).await, Err(HandoverError::Broken(_))));
        };
        tokio::join!(asker, supervisor);
        drop(listener);
        assert!(matches!(ask(&dir, 80).await, Err(HandoverError::NotHere(_))));
        std::fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }
}
