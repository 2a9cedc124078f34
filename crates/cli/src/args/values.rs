//! What stands behind the flags: ports to publish, mounts, variables, sizes, times.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::ByteSize;
use model::{Access, ContainerPort, PublishedPort};

/// `PORT[:public|private][:LABEL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) port: ContainerPort,
    pub(crate) entry: PublishedPort,
}

impl FromStr for Publish {
    type Err = String;

    /// The label is the rest and may have colons; `8888:Jupyter` leaves the access out.
    fn from_str(text: &str) -> Result<Self, String> {
        let (port, rest) = text.split_once(':').unwrap_or((text, ""));
        let port = parse_port(port)?;
        let (word, after) = rest.split_once(':').unwrap_or((rest, ""));
        let (access, label) = match word {
            "public" => (Access::Public, after),
            "private" => (Access::Private, after),
            _ => (Access::Private, rest),
        };
        let label = if label.is_empty() { format!("port {port}") } else { label.to_owned() };
        Ok(Self { port, entry: PublishedPort::new(access, label, "") })
    }
}

/// `[LOCAL:]PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// 0 stands for any free one.
    pub(crate) local: u16,
    pub(crate) port: ContainerPort,
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, port) = text.split_once(':').unwrap_or((text, text));
        let port = parse_port(port)?;
        let local = match local {
            "0" => 0,
            local => parse_port(local)?.get(),
        };
        Ok(Self { local, port })
    }
}

/// `SRC:DST[:ro|rw]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// As typed; may be relative to where the command runs.
    pub(crate) source: PathBuf,
    /// Absolute path in the container.
    pub(crate) target: String,
    pub(crate) is_writable: bool,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (paths, is_writable) = match text.rsplit_once(':') {
            Some((paths, "ro")) => (paths, false),
            Some((paths, "rw")) => (paths, true),
            _ => (text, true),
        };
        let example = "write SRC:DST or SRC:DST:ro, for example ./data:/data:ro";
        let (source, target) = paths.rsplit_once(':').ok_or(example)?;
        if source.is_empty() {
            return Err(format!("the source is missing; {example}"));
        }
        if !target.starts_with('/') || target.trim_matches('/').is_empty() {
            return Err(format!(
                "{target:?} is no place in the container: it must start with / and be more than that"
            ));
        }
        Ok(Self { source: source.into(), target: target.to_owned(), is_writable })
    }
}

/// 1 to 65535, plain decimal.
pub(crate) fn parse_port(text: &str) -> Result<ContainerPort, String> {
    let wrong = |_not_a_port| format!("{text:?} is no port; write a number from 1 to 65535");
    ContainerPort::parse(text).map_err(wrong)
}

/// `K=V`; the value may be empty and may have more equals signs.
pub(crate) fn parse_env(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let sound = !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains('\0');
    if !sound {
        return Err(format!("{name:?} cannot be the name of a variable; write NAME=VALUE"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// `512MiB`, `1GiB`, `2g`; more than nothing.
pub(crate) fn parse_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.get() == 0 { Err("must be more than nothing".to_owned()) } else { Ok(size) }
}

/// `10s`, `5m`, `30d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text)
}

/// `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_not_an_address| {
        "write an address and a port, for example 127.0.0.1:8000".to_owned()
    })
}
