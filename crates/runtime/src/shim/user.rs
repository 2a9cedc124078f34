//! Who runs the command: names looked up in the image's own files, as Docker does.

use crate::error::StartError;
use crate::spec::UserSpec;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;

/// Most bytes read of `/etc/passwd` or `/etc/group`.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most supplementary groups; the kernel takes 65536.
const GROUPS_MAX: usize = 1024;
/// The id that means "unchanged" to the kernel, and so nobody.
const NO_ID: u32 = u32::MAX;

/// Numbers for the kernel, and the home directory for the environment.
///
/// Resolved once, before the command runs: what it writes into `/etc/passwd` changes nobody's rights.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
    /// The user's shell, where the image names one to log in with.
    pub(super) shell: Option<String>,
}

/// Resolves in the container's root, which the caller must have entered.
pub(super) fn resolve(spec: &UserSpec) -> Result<Identity, StartError> {
    resolve_in(spec, &read("/etc/passwd"), &read("/etc/group"))
}

/// The text of a file of the image, empty if there is none. What is not a regular file could
/// block us for ever.
fn read(path: &str) -> String {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_MAGICLINKS;
    let Ok(fd) = rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) else {
        return String::new();
    };
    let is_file = rustix::fs::fstat(&fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let mut bytes = Vec::new();
    if !is_file || File::from(fd).take(FILE_BYTES_MAX).read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn resolve_in(spec: &UserSpec, passwd: &str, group: &str) -> Result<Identity, StartError> {
    let user = spec.user();
    let number = parse_id(user);
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
        fields.len() >= 6
            && (fields[0] == user || (number.is_some() && number == parse_id(fields[2])))
    });
    let unknown = || StartError::UserUnknown { user: user.to_owned() };
    let uid = match &entry {
        Some(fields) => parse_id(fields[2]).ok_or_else(unknown)?,
        None => number.ok_or_else(unknown)?,
    };
    let own_gid = entry.as_ref().and_then(|fields| parse_id(fields[3])).unwrap_or(0);
    let (gid, groups) = match spec.group() {
        Some(name) => (group_id(name, group)?, Vec::new()),
        None => {
            let name = entry.as_ref().map(|fields| fields[0]);
            (own_gid, name.map(|name| groups_of(name, group)).unwrap_or_default())
        }
    };
    let path_at = |at: usize| {
        let field = entry.as_ref().and_then(|fields| fields.get(at).copied());
        field.filter(|path| path.starts_with('/')).map(str::to_owned)
    };
    let home = path_at(5).unwrap_or_else(|| "/".to_owned());
    // `nologin` and `false` say that there is none.
    let shell =
        path_at(6).filter(|shell| !shell.ends_with("/nologin") && !shell.ends_with("/false"));
    Ok(Identity { uid, gid, groups, home, shell })
}

fn parse_id(text: &str) -> Option<u32> {
    let is_decimal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|id| is_decimal && *id != NO_ID)
}

fn group_id(name: &str, group: &str) -> Result<u32, StartError> {
    let mut entries = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|fields| fields.len() >= 3 && fields[0] == name);
    let found = entry.and_then(|fields| parse_id(fields[2])).or_else(|| parse_id(name));
    found.ok_or_else(|| StartError::GroupUnknown { group: name.to_owned() })
}

fn groups_of(user: &str, group: &str) -> Vec<u32> {
    let entries = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    entries
        .filter(|fields| fields.len() >= 4 && fields[3].split(',').any(|member| member == user))
        .filter_map(|fields| parse_id(fields[2]))
        .take(GROUPS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/bash\n\
        7:x:8:8::/seven:/usr/sbin/nologin\nbroken\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\nstaff:x:50:root,jovyan\n";

    fn resolved(user: &str) -> Result<Identity, StartError> {
        resolve_in(&UserSpec::parse(user), PASSWD, GROUP)
    }

    fn identity(uid: u32, gid: u32, groups: &[u32], home: &str) -> Identity {
        let shell = match uid {
            0 => Some("/bin/sh".to_owned()),
            1000 => Some("/bin/bash".to_owned()),
            _ => None,
        };
        Identity { uid, gid, groups: groups.to_vec(), home: home.to_owned(), shell }
    }

    #[test]
    fn names_and_numbers_are_resolved_in_the_image() {
        assert_eq!(resolved("").unwrap(), identity(0, 0, &[50], "/root"));
        assert_eq!(resolved("jovyan").unwrap(), identity(1000, 100, &[50], "/home/jovyan"));
        assert_eq!(resolved("1000").unwrap(), identity(1000, 100, &[50], "/home/jovyan"));
        assert_eq!(resolved("jovyan:staff").unwrap(), identity(1000, 50, &[], "/home/jovyan"));
        assert_eq!(resolved("7").unwrap(), identity(8, 8, &[], "/seven"));
        assert_eq!(resolved("1234").unwrap(), identity(1234, 0, &[], "/"));
        assert_eq!(resolved("1234:5").unwrap(), identity(1234, 5, &[], "/"));
    }

    #[test]
    fn what_the_image_does_not_know_is_an_error_in_words() {
        let words = |user| resolved(user).unwrap_err().to_string();
        assert_eq!(words("nobody"), "user `nobody` is not in the image's /etc/passwd");
        assert_eq!(words("root:wheel"), "group `wheel` is not in the image's /etc/group");
        for bad in ["-1", "4294967295", "99999999999", "+5"] {
            assert!(resolved(bad).is_err(), "{bad}");
        }
    }
}
