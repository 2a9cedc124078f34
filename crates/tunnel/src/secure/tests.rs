use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const UUID: &str = "wharf-dz642-000000000000001";

async fn accepted(io: DuplexStream, secret: &LaunchSecret) -> Result<String, HandshakeError> {
    let identity = Identity::generate().unwrap();
    let lookup = |_uuid: String| async { Some(secret.clone()) };
    accept(io, &identity, lookup).await.map(|(_io, uuid)| uuid)
}

#[tokio::test]
async fn both_ends_agree_and_talk_in_secret() {
    let secret = LaunchSecret::generate().unwrap();
    let (near, mut tap_near) = duplex(1 << 16);
    let (mut tap_far, far) = duplex(1 << 16);
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        let (mut near_read, mut near_write) = tokio::io::split(&mut tap_near);
        let (mut far_read, mut far_write) = tokio::io::split(&mut tap_far);
        let forth = tokio::io::copy(&mut far_read, &mut near_write);
        let back = async {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = near_read.read(&mut piece).await {
                seen.extend_from_slice(&piece[..n]);
                far_write.write_all(&piece[..n]).await.unwrap();
            }
        };
        tokio::select! { _ = forth => {}, () = back => {} }
        seen
    });
    let identity = Identity::generate().unwrap();
    let controller = async {
        let lookup = |_| async { Some(secret.clone()) };
        let (mut io, uuid) = accept(far, &identity, lookup).await.unwrap();
        let mut said = [0; 16];
        io.read_exact(&mut said).await.unwrap();
        (uuid, said)
    };
    let supervisor = async {
        let mut io = dial(near, UUID, &secret).await.unwrap();
        io.write_all(b"a word in secret").await.unwrap();
        io.flush().await.unwrap();
        io
    };
    let ((uuid, said), io) = tokio::join!(controller, supervisor);
    assert_eq!((uuid.as_str(), &said), (UUID, b"a word in secret"));
    drop(io);
    let seen = seen.await.unwrap();
    let contains = |text: &[u8]| seen.windows(text.len()).any(|part| part == text);
    assert!(contains(PROTOCOL), "the tap saw the handshake");
    assert!(!contains(b"a word in secret") && !contains(UUID.as_bytes()));
}

/// Terminates TLS towards both ends and passes on what it reads, as a man in the middle would.
#[tokio::test]
async fn t34_an_interposer_is_refused_and_learns_nothing() {
    let secret = LaunchSecret::generate().unwrap();
    let (near, trap) = duplex(1 << 16);
    let (lure, far) = duplex(1 << 16);
    let interposer = async {
        let theirs = Identity::generate().unwrap();
        let to_supervisor = theirs.0.accept(ReadAhead::new(trap)).await.unwrap();
        let connector = TlsConnector::from(Arc::new(client_config().unwrap()));
        let name = ServerName::try_from(NAME).unwrap();
        let to_controller = connector.connect(name, ReadAhead::new(lure)).await.unwrap();
        let (mut a, mut b) = (to_supervisor, to_controller);
        let _broken = tokio::io::copy_bidirectional(&mut a, &mut b).await;
    };
    let supervisor = async { dial(near, UUID, &secret).await.map(drop) };
    let (dialled, accepted, ()) = tokio::join!(supervisor, accepted(far, &secret), interposer);
    assert!(matches!(dialled, Err(HandshakeError::WrongProof)), "{dialled:?}");
    // The supervisor hangs up before it proves anything.
    assert!(matches!(accepted, Err(HandshakeError::Io(_))), "{accepted:?}");
}

#[tokio::test]
async fn a_stranger_is_told_from_a_broken_connection() {
    let secret = LaunchSecret::generate().unwrap();
    let (mut near, far) = duplex(1 << 16);
    near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let refused = accepted(far, &secret).await;
    assert!(matches!(refused, Err(HandshakeError::Tls(_))), "{refused:?}");
    let (near, far) = duplex(1 << 16);
    drop(near);
    let refused = accepted(far, &secret).await;
    assert!(matches!(refused, Err(HandshakeError::Io(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn neither_end_waits_for_ever() {
    let secret = LaunchSecret::generate().unwrap();
    let (near, _far) = duplex(1024);
    assert!(matches!(accepted(near, &secret).await, Err(HandshakeError::TimedOut)));
    let (near, _far) = duplex(1024);
    let dialled = dial(near, UUID, &secret).await;
    assert!(matches!(dialled, Err(HandshakeError::TimedOut)));
}
