//! `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, as people write it.

use std::fmt;
use std::str::FromStr;

use outbound::is_loopback;

use crate::digest::Digest;
use crate::error::PullError;

/// Where images without a registry are, and what that is called by people.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `docker.io`, or host and port.
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry as people call it: `docker.io`, or host and port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The image's name in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `REPOSITORY:TAG` with the registry where it is not Docker's, under which the image is kept.
    pub fn name(&self) -> String {
        let tag = self.tag.as_deref().unwrap_or("latest");
        let repository = match self.registry.as_str() {
            DOCKER_HUB => {
                self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned()
            }
            registry => format!("{registry}/{}", self.repository),
        };
        format!("{repository}:{tag}")
    }

    /// The address below which the registry's API is. Plain only on this machine.
    pub(crate) fn base(&self) -> String {
        let host = if self.registry == DOCKER_HUB { DOCKER_HUB_HOST } else { &self.registry };
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let scheme = if is_loopback(name) { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}", self.repository)
    }

    /// What a manifest is asked for by: the digest goes before the tag.
    pub(crate) fn asked(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    pub(crate) fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = PullError;

    fn from_str(text: &str) -> Result<Self, PullError> {
        let wrong = |why| PullError::Reference { reference: text.to_owned(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = Digest::parse(digest);
                (rest, Some(digest.ok_or_else(|| wrong("a digest is sha256: and 64 digits"))?))
            }
            None => (text, None),
        };
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, path)
            }
            _ => (DOCKER_HUB, rest),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if registry.is_empty() || !registry.bytes().all(is_host) {
            return Err(wrong("before the first / there is no registry's host"));
        }
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (path, None),
        };
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if tag.as_ref().is_some_and(|tag| {
            tag.is_empty() || tag.len() > TAG_BYTES_MAX || !tag.bytes().all(is_tag)
        }) {
            return Err(wrong("a tag has up to 128 letters, digits, and _ . -"));
        }
        let registry = match registry.to_ascii_lowercase().as_str() {
            "index.docker.io" | DOCKER_HUB_HOST => DOCKER_HUB.to_owned(),
            other => other.to_owned(),
        };
        let repository = match path.contains('/') || registry != DOCKER_HUB {
            true => path.to_owned(),
            false => format!("library/{path}"),
        };
        let is_part = |part: &str| {
            let is_of_it = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            };
            part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(is_of_it)
        };
        if repository.len() > REPOSITORY_BYTES_MAX || !repository.split('/').all(is_part) {
            return Err(wrong("a repository has small letters, digits, and . _ - /"));
        }
        Ok(Self { registry, repository, tag, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, base: &str, asked: &str, name: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.base(), base, "{text}");
        assert_eq!(reference.asked(), asked, "{text}");
        assert_eq!(reference.name(), name, "{text}");
    }

    #[test]
    fn references_are_read_as_people_write_them() {
        let hub = "https://registry-1.docker.io/v2/library/busybox";
        check("busybox", hub, "latest", "busybox:latest");
        check("busybox:1.36", hub, "1.36", "busybox:1.36");
        check("docker.io/library/busybox:1", hub, "1", "busybox:1");
        check("index.docker.io/busybox", hub, "latest", "busybox:latest");
        check("curii/a:2", "https://registry-1.docker.io/v2/curii/a", "2", "curii/a:2");
        check(
            "registry.example:444/Team/x".to_ascii_lowercase().as_str(),
            "https://registry.example:444/v2/team/x",
            "latest",
            "registry.example:444/team/x:latest",
        );
        check(
            "localhost:5000/x",
            "http://localhost:5000/v2/x",
            "latest",
            "localhost:5000/x:latest",
        );
        check("127.0.0.1:5000/x:y", "http://127.0.0.1:5000/v2/x", "y", "127.0.0.1:5000/x:y");
        let digest = format!("sha256:{}", "ab".repeat(32));
        check(&format!("busybox:1@{digest}"), hub, &digest, "busybox:1");
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in [
            "",
            ":",
            "a:",
            "UPPER",
            "a/../b",
            "a//b",
            "x@sha256:12",
            "x@md5:00",
            "-a",
            "a b",
            "http://host/x",
            "user@host/x",
            "a:b:c",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
