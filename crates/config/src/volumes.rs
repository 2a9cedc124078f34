//! `Volumes`: where blocks are kept, in the shape that Arvados's sites know.

use std::path::PathBuf;
use std::time::Duration;

use model::{BlockVolume, S3Bucket, VolumePlace};
use serde_json::Value;

use crate::raw::{Problem, Section};
use crate::setting::Setting;

/// Volumes of one site; each is asked for a block that the ones before it do not have.
const VOLUMES_MAX: usize = 100;
/// Copies that a volume may say that it makes.
const REPLICATION_MAX: u32 = 10;
const DEFAULT_CLASS: &str = "default";
const DEFAULT_REGION: &str = "us-east-1";
/// A server that is there answers in milliseconds; a name may take a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// 64 MiB in this time are half a megabyte a second.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Reads the whole section, in the file's order, which is the order of reading.
pub(crate) fn read(mut section: Section, problems: &mut Vec<Problem>) -> Vec<BlockVolume> {
    let names = section.keys();
    if names.len() > VOLUMES_MAX {
        let text = format!("a site has {VOLUMES_MAX} volumes at most, here are {}", names.len());
        problems.push(Problem { path: "Volumes".to_owned(), text });
        return Vec::new();
    }
    let mut volumes: Vec<BlockVolume> = Vec::new();
    for name in names {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
            let path = section.path(&name);
            let text = "a volume's name has up to 64 letters, digits, and - _ .".to_owned();
            problems.push(Problem { path, text });
        }
        let own = section.section_named(&name, problems);
        volumes.extend(volume(name, own, problems));
    }
    let takes = |it: &BlockVolume| !it.read_only && has_default(it);
    if !volumes.is_empty() && problems.is_empty() && !volumes.iter().any(takes) {
        let text = "one volume at least must be of the storage class default and not ReadOnly, or \
            nothing can be stored"
            .to_owned();
        problems.push(Problem { path: "Volumes".to_owned(), text });
    }
    volumes
}

fn has_default(volume: &BlockVolume) -> bool {
    volume.storage_classes.iter().any(|class| class == DEFAULT_CLASS)
}

fn volume(name: String, mut own: Section, problems: &mut Vec<Problem>) -> Option<BlockVolume> {
    let driver = own.take::<Driver>("Driver", problems);
    let mut parameters = own.section("DriverParameters", problems);
    let place = match driver {
        Some(Driver::Directory) => directory(&mut parameters, problems),
        Some(Driver::S3) => bucket(&mut parameters, problems).map(VolumePlace::S3),
        None => {
            own.require("Driver", "Directory or S3", problems);
            return None;
        }
    };
    parameters.finish(problems);
    let classes = own.take::<Classes>("StorageClasses", problems);
    let storage_classes = classes.map_or_else(|| vec![DEFAULT_CLASS.to_owned()], |it| it.0);
    let replication = own.take::<u32>("Replication", problems).unwrap_or(1);
    if !(1..=REPLICATION_MAX).contains(&replication) {
        let text = format!("must be from 1 to {REPLICATION_MAX}, is {replication}");
        problems.push(Problem { path: own.path("Replication"), text });
    }
    let read_only = own.take::<bool>("ReadOnly", problems).unwrap_or(false);
    own.finish(problems);
    Some(BlockVolume { name, place: place?, storage_classes, replication, read_only })
}

fn directory(parameters: &mut Section, problems: &mut Vec<Problem>) -> Option<VolumePlace> {
    let root = parameters.take::<PathBuf>("Root", problems);
    if root.is_none() {
        parameters.require("Root", "the directory's absolute path", problems);
    }
    root.map(|root| VolumePlace::Directory { root })
}

fn bucket(parameters: &mut Section, problems: &mut Vec<Problem>) -> Option<S3Bucket> {
    if parameters.has("SecretAccessKey") {
        let text =
            "secrets do not belong here; write it into a file that only the server can read, \
            and name that by SecretAccessKeyFile"
                .to_owned();
        problems.push(Problem { path: parameters.path("SecretAccessKey"), text });
        let _not_shown = parameters.take::<String>("SecretAccessKey", &mut Vec::new());
    }
    let bucket = parameters.take::<String>("Bucket", problems);
    let access_key_id = parameters.take::<String>("AccessKeyID", problems);
    let secret_key_file = parameters.take::<PathBuf>("SecretAccessKeyFile", problems);
    let region = parameters.take::<String>("Region", problems);
    let endpoint = parameters.take::<Endpoint>("Endpoint", problems).map(|it| it.0);
    let ca_file = parameters.take::<PathBuf>("CAFile", problems);
    let connect_timeout = timeout("ConnectTimeout", CONNECT_TIMEOUT, parameters, problems);
    let read_timeout = timeout("ReadTimeout", READ_TIMEOUT, parameters, problems);
    if bucket.as_ref().is_none_or(String::is_empty) {
        parameters.require("Bucket", "the bucket's name", problems);
    }
    if access_key_id.as_ref().is_none_or(String::is_empty) {
        parameters.require("AccessKeyID", "the name of the access key", problems);
    }
    if secret_key_file.is_none() {
        parameters.require("SecretAccessKeyFile", "the file that holds its secret", problems);
    }
    Some(S3Bucket {
        bucket: bucket?,
        region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        endpoint,
        access_key_id: access_key_id?,
        secret_key_file: secret_key_file?,
        ca_file,
        connect_timeout_ms: connect_timeout,
        read_timeout_ms: read_timeout,
    })
}

/// In milliseconds.
fn timeout(
    key: &'static str,
    default: Duration,
    parameters: &mut Section,
    problems: &mut Vec<Problem>,
) -> u64 {
    let value = parameters.take::<Duration>(key, problems).unwrap_or(default);
    let (min, max) = (Duration::from_millis(100), TIMEOUT_MAX);
    let value = crate::setting::within(value, &min, &max, parameters.path(key), problems);
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}

/// The section as it would be written, for `config check`.
pub(crate) fn show(volumes: &[BlockVolume], text: &mut String) {
    let why = "Where blocks are kept, in the order in which they are read; without any, in the data \
        directory. Each has Driver (Directory or S3), DriverParameters, StorageClasses, Replication (how \
        many copies a block on it counts as) and ReadOnly.";
    text.extend(["# ", why, "\nVolumes:", if volumes.is_empty() { " {}\n" } else { "\n" }]);
    for volume in volumes {
        let classes: Vec<String> =
            volume.storage_classes.iter().map(|class| format!("{}: true", class.show())).collect();
        let mut line = |indent: usize, key: &str, value: String| {
            text.extend([&" ".repeat(indent), key, ":"]);
            text.extend([if value.is_empty() { "" } else { " " }, &value, "\n"]);
        };
        line(2, &volume.name.show(), String::new());
        line(4, "StorageClasses", format!("{{{}}}", classes.join(", ")));
        line(4, "Replication", volume.replication.show());
        line(4, "ReadOnly", volume.read_only.show());
        match &volume.place {
            VolumePlace::Directory { root } => {
                line(4, "Driver", "Directory".to_owned());
                line(4, "DriverParameters", String::new());
                line(6, "Root", root.show());
            }
            VolumePlace::S3(bucket) => {
                line(4, "Driver", "S3".to_owned());
                line(4, "DriverParameters", String::new());
                show_bucket(bucket, &mut |key, value| line(6, key, value));
            }
        }
    }
}

fn show_bucket(bucket: &S3Bucket, line: &mut dyn FnMut(&str, String)) {
    line("Bucket", bucket.bucket.show());
    line("Region", bucket.region.show());
    if let Some(endpoint) = &bucket.endpoint {
        line("Endpoint", endpoint.show());
    }
    line("AccessKeyID", bucket.access_key_id.show());
    line("SecretAccessKeyFile", bucket.secret_key_file.show());
    if let Some(file) = &bucket.ca_file {
        line("CAFile", file.show());
    }
    line("ConnectTimeout", Duration::from_millis(bucket.connect_timeout_ms).show());
    line("ReadTimeout", Duration::from_millis(bucket.read_timeout_ms).show());
}

/// What a volume is.
#[derive(Clone, Copy)]
enum Driver {
    Directory,
    S3,
}

impl Setting for Driver {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("Directory") => Ok(Self::Directory),
            Some("S3") => Ok(Self::S3),
            _ => Err(format!("must be Directory or S3, is {}", crate::setting::shown(value))),
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Directory => "Directory",
            Self::S3 => "S3",
        }
        .to_owned()
    }
}

/// `{default: true, archive: true}`, as Arvados writes it.
struct Classes(Vec<String>);

impl Setting for Classes {
    fn from_value(value: &Value) -> Result<Self, String> {
        let wrong = || "must be a mapping such as {default: true}".to_owned();
        let classes = value.as_object().ok_or_else(wrong)?;
        let mut names = Vec::new();
        for (name, is_meant) in classes {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(format!("{name:?} is no storage class: letters, digits, - and _"));
            }
            if is_meant.as_bool().ok_or_else(wrong)? {
                names.push(name.clone());
            }
        }
        if names.is_empty() {
            Err("must name one class at least".to_owned())
        } else {
            Ok(Self(names))
        }
    }
    fn show(&self) -> String {
        self.0.join(", ")
    }
}

/// The address of an S3 server: scheme, host and port only.
struct Endpoint(String);

impl Setting for Endpoint {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        let text = text.trim_end_matches('/');
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("must be an address such as https://s3.example.com:9000".to_owned()),
        }
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

#[cfg(test)]
mod tests;
