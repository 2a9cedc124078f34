//! A provider's public keys (RFC 7517), and signatures by them (RFC 7518, RFC 8037).
//!
//! Which algorithms there are is said here, and never by a token alone: a key is only used with algorithms of its own
//! kind, and what is no public key (`oct`, by which HS256 would be checked) is not taken in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

/// Most keys of a provider that are looked at; while they change there are two or three of each kind.
const KEYS_MAX: usize = 64;

/// A provider's keys.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// The one algorithm it is for, where the provider says so.
    alg: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A way to sign that we check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// By its name in a token's header; `none` and those with a shared secret are no algorithms here.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

impl KeySet {
    /// Reads a key set; keys that are of no use to us are passed over.
    ///
    /// # Errors
    /// Where the text is no key set.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawSet = serde_json::from_slice(text)?;
        Ok(Self(raw.keys.into_iter().take(KEYS_MAX).filter_map(Key::parse).collect()))
    }

    /// Whether there is a key that a token with this header may be signed by.
    pub(crate) fn has(&self, kid: Option<&str>, algorithm: Algorithm, name: &str) -> bool {
        self.fitting(kid, algorithm, name).next().is_some()
    }

    /// Whether one of the keys that fit the header made this signature.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        name: &str,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.fitting(kid, algorithm, name)
            .any(|key| key.material.verify(algorithm, message, signature))
    }

    fn fitting(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        name: &str,
    ) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
                && key.alg.as_deref().is_none_or(|alg| alg == name)
                && key.material.is_for(algorithm)
        })
    }
}

impl Key {
    fn parse(value: Value) -> Option<Self> {
        let raw: RawKey = serde_json::from_value(value).ok()?;
        if raw.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        // An uncompressed point (SEC 1 section 2.3.3), as ring reads it.
        let point = |n_bytes: usize| {
            let (x, y) = (bytes(&raw.x)?, bytes(&raw.y)?);
            (x.len() == n_bytes && y.len() == n_bytes).then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (raw.kty.as_str(), raw.crv.as_deref()) {
            // Some write numbers with zeroes in front, which ring does not read.
            ("RSA", _) => {
                Material::Rsa { n: stripped(&bytes(&raw.n)?), e: stripped(&bytes(&raw.e)?) }
            }
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&raw.x)?),
            _ => return None,
        };
        Some(Self { kid: raw.kid, alg: raw.alg, material })
    }
}

fn stripped(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

impl Material {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.rsa().is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let by = |way: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(way, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Rsa { n, e } => algorithm.rsa().is_some_and(|parameters| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, signature).is_ok()
            }),
            Self::P256(key) => by(&signature::ECDSA_P256_SHA256_FIXED, key),
            Self::P384(key) => by(&signature::ECDSA_P384_SHA384_FIXED, key),
            Self::Ed25519(key) => by(&signature::ED25519, key),
        }
    }
}
