//! Manifests and indexes (OCI image specification 1.1, Docker's image manifest 2.2).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::PullError;
use crate::pull::Platform;

/// What is understood, in the order of liking.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Content that something names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

impl Descriptor {
    pub(crate) fn parsed_digest(&self) -> Option<Digest> {
        Digest::parse(&self.digest)
    }
}

/// A manifest or an index: which one it is, its members say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    #[serde(default)]
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// The entry of an index for a platform.
///
/// # Errors
/// [`PullError::Platform`] where there is none.
pub(crate) fn entry_for<'m>(
    manifests: &'m [Descriptor],
    wanted: &Platform,
) -> Result<&'m Descriptor, PullError> {
    let suits = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|it| it.is_for(wanted));
    let mut suiting: Vec<&Descriptor> = manifests.iter().filter(suits).collect();
    // One made for this very variant goes first.
    suiting
        .sort_by_key(|entry| entry.platform.as_ref().is_none_or(|it| it.variant != wanted.variant));
    suiting.first().copied().ok_or_else(|| {
        let known = manifests.iter().filter_map(|entry| entry.platform.as_ref());
        // Attestations are entries of their own, for a platform that is none.
        let mut known: Vec<String> =
            known.filter(|it| it.os != "unknown").map(Platform::to_string).collect();
        known.dedup();
        PullError::Platform { wanted: wanted.to_string(), known: known.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        let platform = Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        };
        Descriptor {
            media_type: String::new(),
            digest: format!("sha256:{}", format!("{number:02x}").repeat(32)),
            size: 1,
            platform: Some(platform),
        }
    }

    #[test]
    fn the_entry_of_this_machine_is_taken() {
        let index = [
            entry(1, "windows", "amd64", None),
            entry(2, "linux", "arm", Some("v6")),
            entry(3, "linux", "arm", Some("v7")),
            entry(4, "linux", "amd64", None),
            entry(5, "unknown", "unknown", None),
        ];
        let check = |architecture: &str, variant: Option<&str>, expected: u8| {
            let platform = entry(0, "linux", architecture, variant).platform.unwrap();
            let found = entry_for(&index, &platform).unwrap();
            assert_eq!(found.digest, entry(expected, "", "", None).digest);
        };
        check("amd64", None, 4);
        check("arm", Some("v7"), 3);
        check("arm", None, 2);
        let s390x = entry(0, "linux", "s390x", None).platform.unwrap();
        let error = entry_for(&index, &s390x).unwrap_err().to_string();
        assert!(error.contains("linux/s390x") && error.contains("linux/arm/v7"), "{error}");
        assert!(!error.contains("unknown"), "{error}");
    }
}
