//! Executing the command: looked up on its `PATH`, and when that fails, why, in words.

use crate::error::StartError;
use crate::sys;
use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

/// Where commands are looked for if the environment does not say; as under other runtimes.
pub(super) const PATH_DEFAULT: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The kernel reads no more of a `#!` line.
const SHEBANG_BYTES_MAX: u64 = 256;

/// Becomes the command; returns only to tell why not.
pub(super) fn exec(argv: &[String], env: &[(String, String)]) -> StartError {
    let bad = |problem: &str| StartError::BadSpec { problem: problem.to_owned() };
    let Some(command) = argv.first() else { return bad("there is no command") };
    let c_strings =
        |texts: Vec<String>| texts.into_iter().map(CString::new).collect::<Result<_, _>>();
    let lines = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (Ok(c_argv), Ok(c_env)): (Result<Vec<_>, _>, Result<Vec<_>, _>) =
        (c_strings(argv.to_vec()), c_strings(lines))
    else {
        return bad("a zero byte is in its command or environment");
    };
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_str());
    let mut found = StartError::CommandNotFound { command: command.clone() };
    for candidate in candidates(command, path.unwrap_or(PATH_DEFAULT)) {
        let Ok(c_path) = CString::new(candidate.as_str()) else { continue };
        let error = sys::exec(&c_path, &c_argv, &c_env);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => match missing_interpreter(&candidate) {
                Some(interpreter) => {
                    return StartError::InterpreterMissing {
                        command: command.clone(),
                        interpreter,
                    };
                }
                None => continue,
            },
            // Something executable may follow on the path.
            Some(libc::EACCES | libc::EPERM) => {
                found = StartError::CommandNotExecutable { command: command.clone() };
            }
            Some(libc::ENOEXEC) => return StartError::NotAProgram { command: command.clone() },
            Some(libc::E2BIG) => return StartError::CommandTooLong { command: command.clone() },
            _ => return StartError::step(format!("execute `{command}`"), error),
        }
    }
    found
}

fn candidates(command: &str, path: &str) -> Vec<String> {
    if command.contains('/') {
        return vec![command.to_owned()];
    }
    let in_folder = |folder: &str| {
        // An empty part means the working directory (POSIX).
        let folder = if folder.is_empty() { "." } else { folder };
        format!("{folder}/{command}")
    };
    path.split(':').map(in_folder).collect()
}

/// What a file that is there needs to be run by, if the file is there: "not found" from the
/// kernel then means this.
fn missing_interpreter(path: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?);
    let mut start = Vec::new();
    (&file).take(SHEBANG_BYTES_MAX).read_to_end(&mut start).ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next().unwrap_or_default();
        // Files written on Windows end their lines otherwise, and the name is taken with it.
        let hint = if line.ends_with('\r') { " (followed by a carriage return)" } else { "" };
        return Some(format!("{interpreter}{hint}"));
    }
    elf_interpreter(&file, &start).or_else(|| Some("the program's loader".to_owned()))
}

/// The loader named by a 64-bit little-endian ELF file (System V ABI, program header PT_INTERP).
fn elf_interpreter(file: &File, start: &[u8]) -> Option<String> {
    const PT_INTERP: u32 = 3;
    const HEADERS_MAX: u16 = 128;
    const NAME_BYTES_MAX: u64 = 4096;
    if !start.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let u16_at =
        |bytes: &[u8], at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u64_at =
        |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (offset, size) = (u64_at(start, 32)?, u16_at(start, 54)?);
    let count = u16_at(start, 56)?.min(HEADERS_MAX);
    for index in 0..u64::from(count) {
        let mut header = [0; 56];
        let at = offset.checked_add(index * u64::from(size))?;
        file.read_exact_at(&mut header, at).ok()?;
        if u32::from_le_bytes(*header.first_chunk()?) != PT_INTERP {
            continue;
        }
        let length = usize::try_from(u64_at(&header, 32)?.min(NAME_BYTES_MAX)).ok()?;
        let mut name = vec![0; length];
        file.read_exact_at(&mut name, u64_at(&header, 8)?).ok()?;
        return Some(String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_a_slash_are_not_looked_up() {
        assert_eq!(candidates("./x", "/bin"), ["./x"]);
        assert_eq!(candidates("x", "/usr/bin::/bin"), ["/usr/bin/x", "./x", "/bin/x"]);
    }

    #[test]
    fn the_loader_of_a_dynamic_program_is_read_from_it() {
        let this = std::env::current_exe().unwrap();
        let name = missing_interpreter(this.to_str().unwrap()).unwrap();
        assert!(name.starts_with("/lib") && name.contains("ld"), "{name}");
        assert_eq!(missing_interpreter("/nonexistent"), None);
    }

    #[test]
    fn the_interpreter_of_a_script_is_read_from_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("s");
        std::fs::write(&script, "#! /opt/python3 -u\nx").unwrap();
        assert_eq!(missing_interpreter(script.to_str().unwrap()).unwrap(), "/opt/python3");
        std::fs::write(&script, "#!/bin/sh\r\nx").unwrap();
        let hint = missing_interpreter(script.to_str().unwrap()).unwrap();
        assert_eq!(hint, "/bin/sh (followed by a carriage return)");
    }
}
