//! Opening an address in the person's browser, where there is one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use config::Environment;
use tokio::process::Command;

/// Programs that open an address in whatever the person prefers, in order.
const OPENERS: [&str; 3] = ["xdg-open", "wslview", "open"];
/// How long a program is watched. One that cannot open anything ends sooner; some stay for as long as their browser.
const WATCHED: Duration = Duration::from_secs(2);

/// Why no browser was started, in words that go behind a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOpened(Vec<String>);

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for NotOpened {}

/// Hands `url` to the programs that `BROWSER` names, in order, then, on a machine with a display, to the desktop's opener,
/// until one takes it. On an error the caller prints the address.
///
/// This machine's users see the address in the list of processes: it must hold a single-use code and never a token.
pub async fn open(environment: &Environment, url: &str) -> Result<(), NotOpened> {
    let mut problems = Vec::new();
    for opener in openers(environment, url) {
        match opener {
            Ok(opener) => match opener.start().await {
                Ok(()) => return Ok(()),
                Err(problem) => problems.push(problem),
            },
            Err(problem) => problems.push(problem),
        }
    }
    Err(NotOpened(problems))
}

/// A program that opens an address.
#[derive(Debug, PartialEq, Eq)]
struct Opener {
    program: PathBuf,
    words: Vec<String>,
}

impl Opener {
    /// Starts it, in a group of its own: Ctrl-C in our terminal is not meant for the browser. Its errors come too late for
    /// anybody, so they go nowhere, as what else it prints.
    async fn start(&self) -> Result<(), String> {
        let name = self.program.display();
        let mut command = Command::new(&self.program);
        command.args(&self.words).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for secret in Environment::SECRETS {
            command.env_remove(secret);
        }
        let mut child =
            command.spawn().map_err(|error| format!("{name} could not be started: {error}"))?;
        match tokio::time::timeout(WATCHED, child.wait()).await {
            Ok(Ok(status)) if !status.success() => Err(format!("{name} failed ({status})")),
            Ok(Err(error)) => Err(format!("{name} was lost: {error}")),
            // One that stays is not waited for; it ends with its own window.
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

/// What can be tried, in order, and why something cannot.
fn openers(environment: &Environment, url: &str) -> Vec<Result<Opener, String>> {
    let named = environment.browser.iter().flat_map(|named| named.split(':'));
    let mut all: Vec<_> =
        named.filter_map(|command| named_opener(environment, command, url)).collect();
    all.push(desktop_opener(environment, url));
    all
}

/// One command of `BROWSER`: words, where `%s` stands for the address; without one, the address is the last word.
fn named_opener(
    environment: &Environment,
    command: &str,
    url: &str,
) -> Option<Result<Opener, String>> {
    let mut words = command.split_whitespace();
    let name = words.next()?;
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    if words.iter().any(|word| word.contains("%s")) {
        words = words.iter().map(|word| word.replace("%s", url)).collect();
    } else {
        words.push(url.to_owned());
    }
    let is_path = name.contains('/');
    let program =
        if is_path { Some(Path::new(name).to_owned()) } else { environment.find_program(name) };
    Some(match program {
        Some(program) => Ok(Opener { program, words }),
        None => Err(format!("BROWSER names {name}, which PATH does not lead to")),
    })
}

fn desktop_opener(environment: &Environment, url: &str) -> Result<Opener, String> {
    if !environment.has_display {
        let unset = "neither DISPLAY nor WAYLAND_DISPLAY is set";
        return Err(match environment.browser {
            Some(_) => format!("there is no display ({unset})"),
            None => format!("there is no display ({unset}), and BROWSER names no program"),
        });
    }
    let program = OPENERS.iter().find_map(|name| environment.find_program(name));
    let program = program.ok_or_else(|| format!("PATH leads to none of {}", OPENERS.join(", ")))?;
    Ok(Opener { program, words: vec![url.to_owned()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://lab.containers.localhost:8000/?api_token=wc1_x";

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let find = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Environment::from_lookup(|name| find(name).map(Into::into))
    }

    fn opener(program: &str, words: &[&str]) -> Result<Opener, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Opener { program: PathBuf::from(program), words })
    }

    #[test]
    fn browser_comes_first_with_its_own_words_and_no_shell() {
        let environment = environment(&[("BROWSER", "/a/one -n %s;x::/b/two --new-window")]);
        let all = openers(&environment, URL);
        assert_eq!(all[0], opener("/a/one", &["-n", &format!("{URL};x")]));
        assert_eq!(all[1], opener("/b/two", &["--new-window", URL]));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn without_a_display_the_reason_is_told() {
        for (pairs, expected) in [
            (
                &[][..],
                "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), and BROWSER names no program",
            ),
            (
                &[("BROWSER", "/b/two")],
                "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)",
            ),
            (
                &[("DISPLAY", ":0"), ("PATH", "/nowhere")],
                "PATH leads to none of xdg-open, wslview, open",
            ),
        ] {
            assert_eq!(openers(&environment(pairs), URL).pop(), Some(Err(expected.to_owned())));
        }
    }

    #[tokio::test]
    async fn what_fails_at_once_has_opened_nothing_and_the_next_is_tried() {
        let failing = environment(&[("BROWSER", "/bin/false:no-such-program"), ("PATH", "/bin")]);
        let told = open(&failing, URL).await.unwrap_err().to_string();
        assert!(
            told.contains("/bin/false failed (exit status: 1); BROWSER names no-such"),
            "{told}"
        );
        assert!(told.ends_with("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"));
        let next = environment(&[("BROWSER", "false:true"), ("PATH", "/bin")]);
        assert_eq!(open(&next, URL).await, Ok(()));
    }
}
