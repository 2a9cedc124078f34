use tokio::io::{DuplexStream, duplex};

use super::*;

const UUID: &str = "wharf-dz642-000000000000001";
const OTHER: &str = "wharf-dz642-000000000000002";

const HERE: ChannelBinding = [1; 32];
const ELSEWHERE: ChannelBinding = [2; 32];

/// The controller's side, knowing one container.
async fn accept(mut io: DuplexStream, secret: &LaunchSecret) -> Result<String, HandshakeError> {
    let lookup = |uuid: String| async move { (uuid == UUID).then(|| secret.clone()) };
    prove_as_controller(&mut io, &HERE, lookup).await
}

async fn shake(
    uuid: &str,
    theirs: &LaunchSecret,
    ours: &LaunchSecret,
) -> (Result<(), HandshakeError>, Result<String, HandshakeError>) {
    let (mut near, far) = duplex(1024);
    // Each end hangs up when it is done, as the connection's owner does.
    let dial = async move { prove_as_supervisor(&mut near, &HERE, uuid, theirs).await };
    tokio::join!(dial, accept(far, ours))
}

#[tokio::test]
async fn both_ends_with_the_secret_agree() {
    let secret = LaunchSecret::generate().unwrap();
    let (dialled, accepted) = shake(UUID, &secret, &secret).await;
    dialled.unwrap();
    assert_eq!(accepted.unwrap(), UUID);
}

#[tokio::test]
async fn unknown_container_is_refused() {
    let secret = LaunchSecret::generate().unwrap();
    let (dialled, accepted) = shake(OTHER, &secret, &secret).await;
    assert!(matches!(dialled, Err(HandshakeError::UnknownContainer)));
    assert!(matches!(accepted, Err(HandshakeError::UnknownContainer)));
}

#[tokio::test]
async fn wrong_secret_is_noticed_by_the_supervisor_first() {
    let (theirs, ours) = (LaunchSecret::generate().unwrap(), LaunchSecret::generate().unwrap());
    let (dialled, accepted) = shake(UUID, &theirs, &ours).await;
    assert!(matches!(dialled, Err(HandshakeError::WrongProof)));
    assert!(matches!(accepted, Err(HandshakeError::Io(_))));
}

/// Sends `hello`, reads the controller's nonce and proof, sends `proof`; what comes back.
async fn impostor(mut io: DuplexStream, hello: &[u8], proof: &[u8]) -> Option<u8> {
    io.write_all(hello).await.unwrap();
    let mut answer = [0; 1 + NONCE_BYTES + PROOF_BYTES];
    io.read_exact(&mut answer).await.unwrap();
    let proof = if proof.is_empty() { &answer[1 + NONCE_BYTES..] } else { proof };
    io.write_all(proof).await.unwrap();
    io.read_u8().await.ok()
}

fn hello(uuid: &str, nonce: &[u8]) -> Vec<u8> {
    let mut hello = b"WTUN\0\x02".to_vec();
    hello.push(u8::try_from(uuid.len()).unwrap());
    hello.extend_from_slice(uuid.as_bytes());
    hello.extend_from_slice(nonce);
    hello
}

#[tokio::test]
async fn t33_replayed_or_reflected_proofs_are_refused() {
    let secret = LaunchSecret::generate().unwrap();
    // A recording of an honest handshake.
    let (mut tap, mut near) = duplex(1024);
    let honest = prove_as_supervisor(&mut near, &HERE, UUID, &secret);
    let record = async {
        let mut hello = [0; 7 + UUID.len() + NONCE_BYTES];
        tap.read_exact(&mut hello).await.unwrap();
        let nonce: [u8; NONCE_BYTES] = hello[7 + UUID.len()..].try_into().unwrap();
        let ours = [9; NONCE_BYTES];
        let transcript =
            Transcript { binding: &HERE, uuid: UUID, supervisor: &nonce, controller: &ours };
        tap.write_all(&[STATUS_OK]).await.unwrap();
        tap.write_all(&ours).await.unwrap();
        tap.write_all(transcript.prove(CONTROLLER, &secret).as_ref()).await.unwrap();
        let mut proof = [0; PROOF_BYTES];
        tap.read_exact(&mut proof).await.unwrap();
        tap.write_all(&[STATUS_OK]).await.unwrap();
        (hello, proof)
    };
    let (honest, (recorded, proof)) = tokio::join!(honest, record);
    honest.unwrap();

    for proof in [&proof[..], &[]] {
        let (near, far) = duplex(1024);
        let (status, accepted) =
            tokio::join!(impostor(near, &recorded, proof), accept(far, &secret));
        assert_eq!(status, Some(STATUS_WRONG_PROOF));
        assert!(matches!(accepted, Err(HandshakeError::WrongProof)));
    }
}

#[tokio::test]
async fn t33_proof_for_one_container_is_none_for_another() {
    let secret = LaunchSecret::generate().unwrap();
    let (mut near, far) = duplex(1024);
    let attack = async {
        let nonce = [4; NONCE_BYTES];
        near.write_all(&hello(UUID, &nonce)).await.unwrap();
        near.read_u8().await.unwrap();
        let mut theirs = [0; NONCE_BYTES];
        near.read_exact(&mut theirs).await.unwrap();
        near.read_exact(&mut [0; PROOF_BYTES]).await.unwrap();
        let other =
            Transcript { binding: &HERE, uuid: OTHER, supervisor: &nonce, controller: &theirs };
        near.write_all(other.prove(SUPERVISOR, &secret).as_ref()).await.unwrap();
        near.read_u8().await.unwrap()
    };
    let (status, accepted) = tokio::join!(attack, accept(far, &secret));
    assert_eq!(status, STATUS_WRONG_PROOF);
    assert!(matches!(accepted, Err(HandshakeError::WrongProof)));
}

#[tokio::test]
async fn strangers_are_told_apart() {
    let secret = LaunchSecret::generate().unwrap();
    async fn check(bytes: &[u8], secret: &LaunchSecret) -> HandshakeError {
        let (mut near, far) = duplex(4096);
        near.write_all(bytes).await.unwrap();
        let accepted = accept(far, secret).await;
        accepted.unwrap_err()
    }
    assert!(matches!(check(b"GET / HTTP/1.1\r\n", &secret).await, HandshakeError::NotATunnel));
    let newer = check(b"WTUN\x00\x03\x05rest", &secret).await;
    assert!(matches!(newer, HandshakeError::Version { theirs: 3 }));
    let long = hello(&"a".repeat(65), &[0; NONCE_BYTES]);
    assert!(matches!(check(&long, &secret).await, HandshakeError::NotATunnel));
    let path = hello("../../etc", &[0; NONCE_BYTES]);
    assert!(matches!(check(&path, &secret).await, HandshakeError::NotATunnel));
}

#[tokio::test]
async fn t34_proofs_of_another_channel_are_none() {
    let secret = LaunchSecret::generate().unwrap();
    let (mut near, far) = duplex(1024);
    let ours = secret.clone();
    let dial = async move { prove_as_supervisor(&mut near, &ELSEWHERE, UUID, &secret).await };
    let (dialled, accepted) = tokio::join!(dial, accept(far, &ours));
    assert!(matches!(dialled, Err(HandshakeError::WrongProof)));
    assert!(accepted.is_err());
}

#[test]
fn secrets_survive_hex_and_stay_out_of_debug() {
    let secret = LaunchSecret::generate().unwrap();
    let hex = secret.to_hex();
    assert_eq!(LaunchSecret::from_hex(&format!("{hex}\n")).unwrap().0, secret.0);
    assert!(LaunchSecret::from_hex("abc").is_none());
    assert!(LaunchSecret::from_hex(&"g".repeat(64)).is_none());
    assert!(!format!("{secret:?}").contains(&hex[..8]));
}
