//! Before the first frame: both ends prove that they know the secret of this launch.
//!
//! ```text
//! supervisor                                        controller
//!   "WTUN" version(2) len(1) uuid nonce(32)   ──▶     looks the uuid's secret up
//!   checks                                    ◀──     status(1) [nonce(32) proof(32)]
//!   proof(32)                                 ──▶     checks
//!                                             ◀──     status(1)
//! ```
//!
//! A proof is HMAC-SHA256 with the secret over the prover's name, the version, the channel binding,
//! the uuid and both nonces. Both nonces are fresh, so nothing replays; the prover's name keeps a
//! proof from being sent back to its maker; the uuid ties it to one container; the binding
//! ([`crate::secure`]) ties it to one TLS session, so nobody can stand in between and pass proofs
//! on. The secret itself never travels.

use std::fmt;
use std::future::Future;
use std::io;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of everything the tunnel sends; both ends must have the same.
pub const PROTOCOL_VERSION: u16 = 2;

/// Longest name of a container on the wire; a uuid has 27 bytes.
const CONTAINER_NAME_BYTES_MAX: usize = 64;

const MAGIC: [u8; 4] = *b"WTUN";
const NONCE_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;

/// What both ends know of the channel between them, and nobody else can have for another channel.
pub(crate) type ChannelBinding = [u8; 32];

/// The secret of one launch: 32 random bytes shared by one supervisor and the controller.
#[derive(Clone)]
pub struct LaunchSecret([u8; 32]);

impl LaunchSecret {
    /// A new secret from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> io::Result<Self> {
        random().map(Self).map_err(io::Error::other)
    }

    /// Reads 64 hexadecimal digits; surrounding white space is allowed.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.trim().as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The 64 hexadecimal digits that go into the launch's secret file, and nowhere else.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl fmt::Debug for LaunchSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchSecret(..)")
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke.
    #[error("the connection broke during the handshake")]
    Io(#[source] io::Error),
    /// There is no TLS session to prove anything on.
    #[error("the TLS session with the peer could not be set up")]
    Tls(#[source] rustls::Error),
    /// The peer took too long.
    #[error("the peer did not finish the handshake in time")]
    TimedOut,
    /// What came is no tunnel handshake.
    #[error("the peer does not speak the tunnel protocol")]
    NotATunnel,
    /// The peer has another version of the protocol.
    #[error("the peer speaks version {theirs} of the tunnel protocol, this is {PROTOCOL_VERSION}")]
    Version {
        /// The peer's version; 0 where it did not say.
        theirs: u16,
    },
    /// The controller has no live launch of the container.
    #[error("the container has no live launch at the controller")]
    UnknownContainer,
    /// The peer does not know the secret of this launch.
    #[error("the peer could not prove that it knows the secret of this launch")]
    WrongProof,
    /// The system has no randomness to give.
    #[error("the system's random source failed")]
    Random,
}

impl HandshakeError {
    /// True where trying again cannot help: the controller does not want this launch.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::UnknownContainer | Self::WrongProof | Self::Version { .. } => true,
            Self::Io(_) | Self::Tls(_) | Self::TimedOut | Self::NotATunnel | Self::Random => false,
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The controller's words, one byte each.
const STATUS_OK: u8 = 0;
const STATUS_UNKNOWN: u8 = 1;
const STATUS_VERSION: u8 = 2;
const STATUS_WRONG_PROOF: u8 = 3;

/// The supervisor's side.
///
/// # Errors
/// See [`HandshakeError`]. Not bounded in time: the caller is.
pub(crate) async fn prove_as_supervisor<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    binding: &ChannelBinding,
    uuid: &str,
    secret: &LaunchSecret,
) -> Result<(), HandshakeError> {
    let length = u8::try_from(uuid.len()).unwrap_or(u8::MAX);
    if uuid.is_empty() || usize::from(length) > CONTAINER_NAME_BYTES_MAX {
        return Err(HandshakeError::UnknownContainer);
    }
    let ours = random()?;
    let mut hello = Vec::with_capacity(128);
    hello.extend_from_slice(&MAGIC);
    hello.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    hello.push(length);
    hello.extend_from_slice(uuid.as_bytes());
    hello.extend_from_slice(&ours);
    io.write_all(&hello).await?;
    io.flush().await?;

    read_status(io).await?;
    let mut theirs = [0; NONCE_BYTES];
    io.read_exact(&mut theirs).await?;
    let transcript = Transcript { binding, uuid, supervisor: &ours, controller: &theirs };
    let mut proof = [0; PROOF_BYTES];
    io.read_exact(&mut proof).await?;
    transcript.check(CONTROLLER, secret, &proof)?;

    io.write_all(transcript.prove(SUPERVISOR, secret).as_ref()).await?;
    io.flush().await?;
    read_status(io).await
}

/// The controller's side; answers the uuid that the supervisor now stands for. `lookup` gives the
/// secret of a container's live launch.
///
/// # Errors
/// See [`HandshakeError`]. Not bounded in time: the caller is.
pub(crate) async fn prove_as_controller<IO, Lookup, Found>(
    io: &mut IO,
    binding: &ChannelBinding,
    lookup: Lookup,
) -> Result<String, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    Lookup: FnOnce(String) -> Found,
    Found: Future<Output = Option<LaunchSecret>>,
{
    let mut start = [0; 7];
    io.read_exact(&mut start).await?;
    let [magic @ .., high, low, length] = start;
    if magic != MAGIC {
        return Err(HandshakeError::NotATunnel);
    }
    let theirs = u16::from_be_bytes([high, low]);
    if theirs != PROTOCOL_VERSION {
        send_status(io, STATUS_VERSION).await?;
        return Err(HandshakeError::Version { theirs });
    }
    let uuid = read_name(io, usize::from(length)).await?;
    let mut theirs = [0; NONCE_BYTES];
    io.read_exact(&mut theirs).await?;
    let Some(secret) = lookup(uuid.clone()).await else {
        send_status(io, STATUS_UNKNOWN).await?;
        return Err(HandshakeError::UnknownContainer);
    };

    let ours = random()?;
    let transcript = Transcript { binding, uuid: &uuid, supervisor: &theirs, controller: &ours };
    let mut answer = vec![STATUS_OK];
    answer.extend_from_slice(&ours);
    answer.extend_from_slice(transcript.prove(CONTROLLER, &secret).as_ref());
    io.write_all(&answer).await?;
    io.flush().await?;

    let mut proof = [0; PROOF_BYTES];
    io.read_exact(&mut proof).await?;
    if let Err(error) = transcript.check(SUPERVISOR, &secret, &proof) {
        send_status(io, STATUS_WRONG_PROOF).await?;
        return Err(error);
    }
    send_status(io, STATUS_OK).await?;
    Ok(uuid)
}

async fn read_name<IO: AsyncRead + Unpin>(
    io: &mut IO,
    length: usize,
) -> Result<String, HandshakeError> {
    if length == 0 || length > CONTAINER_NAME_BYTES_MAX {
        return Err(HandshakeError::NotATunnel);
    }
    let mut name = vec![0; length];
    io.read_exact(&mut name).await?;
    // Only what a uuid is made of, so that a name can go into a log line or a file path.
    match String::from_utf8(name) {
        Ok(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => Ok(name),
        _ => Err(HandshakeError::NotATunnel),
    }
}

async fn send_status<IO: AsyncWrite + Unpin>(io: &mut IO, status: u8) -> io::Result<()> {
    io.write_all(&[status]).await?;
    io.flush().await
}

async fn read_status<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<(), HandshakeError> {
    match io.read_u8().await? {
        STATUS_OK => Ok(()),
        STATUS_UNKNOWN => Err(HandshakeError::UnknownContainer),
        STATUS_VERSION => Err(HandshakeError::Version { theirs: 0 }),
        STATUS_WRONG_PROOF => Err(HandshakeError::WrongProof),
        _ => Err(HandshakeError::NotATunnel),
    }
}

fn random() -> Result<[u8; NONCE_BYTES], HandshakeError> {
    let mut bytes = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_unspecified| HandshakeError::Random)?;
    Ok(bytes)
}

const SUPERVISOR: &[u8] = b"wharf tunnel supervisor";
const CONTROLLER: &[u8] = b"wharf tunnel controller";

/// What both proofs are over.
struct Transcript<'a> {
    binding: &'a ChannelBinding,
    uuid: &'a str,
    supervisor: &'a [u8; NONCE_BYTES],
    controller: &'a [u8; NONCE_BYTES],
}

impl Transcript<'_> {
    /// Every part has a fixed length or its length before it, so no two transcripts read alike.
    fn message(&self, prover: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(192);
        message.extend_from_slice(&(prover.len() as u64).to_be_bytes());
        message.extend_from_slice(prover);
        message.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        message.extend_from_slice(self.binding);
        message.extend_from_slice(&(self.uuid.len() as u64).to_be_bytes());
        message.extend_from_slice(self.uuid.as_bytes());
        message.extend_from_slice(self.supervisor);
        message.extend_from_slice(self.controller);
        message
    }

    fn prove(&self, prover: &[u8], secret: &LaunchSecret) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0), &self.message(prover))
    }

    /// Compares in constant time.
    fn check(
        &self,
        prover: &[u8],
        secret: &LaunchSecret,
        proof: &[u8],
    ) -> Result<(), HandshakeError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        hmac::verify(&key, &self.message(prover), proof)
            .map_err(|_unspecified| HandshakeError::WrongProof)
    }
}

#[cfg(test)]
mod tests;
