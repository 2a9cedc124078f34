//! A test runner in one page: runs tests one after the other, prints what `cargo test` prints.

use std::os::unix::process::CommandExt as _;
use std::panic::AssertUnwindSafe;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The second round, as an ordinary user, is told by this variable.
const AS_USER: &str = "WHARF_TEST_AS_USER";
/// A user that owns nothing and has no entry anywhere.
const ORDINARY_UID: u32 = 21_001;
/// No test may take longer.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A claim and how to check it.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> futures::Check,
}

/// The type of a check under way.
pub(crate) mod futures {
    use std::future::Future;
    use std::pin::Pin;

    pub(crate) type Check = Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Lists asynchronous functions as tests of the same names.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<crate::harness::Test> {
            vec![$(crate::harness::Test { name: stringify!($name), run: || Box::pin($name()) }),*]
        }
    };
}
pub(crate) use tests;

/// Whether this round runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let round = if is_root() { "root" } else { "user" };
    let selected = |test: &&Test| {
        filters.is_empty() || filters.iter().any(|f| format!("{round}::{}", test.name).contains(*f))
    };
    let selected: Vec<_> = tests.iter().filter(selected).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        selected.iter().for_each(|test| println!("{round}::{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for test in &selected {
        let started = Instant::now();
        let passed = run_one(test);
        let word = if passed { "ok" } else { "FAILED" };
        println!("test {round}::{} ... {word} ({} ms)", test.name, started.elapsed().as_millis());
        if !passed {
            failed.push(test.name);
        }
    }
    println!(
        "{round}: {} passed, {} failed {failed:?}",
        selected.len() - failed.len(),
        failed.len()
    );
    let user_passed = !is_root() || run_as_user(&arguments);
    if failed.is_empty() && user_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(test: &Test) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be had");
    let check = async { tokio::time::timeout(TEST_TIMEOUT, (test.run)()).await };
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(check)));
    runtime.shutdown_timeout(Duration::from_secs(5));
    match result {
        Ok(Ok(())) => true,
        Ok(Err(_elapsed)) => {
            println!("took longer than {} s", TEST_TIMEOUT.as_secs());
            false
        }
        Err(_panicked) => false,
    }
}

fn run_as_user(arguments: &[String]) -> bool {
    if std::env::var_os(AS_USER).is_some() {
        return true;
    }
    // Copied, as the build directory may be closed to others.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = dir.path().join("it");
    std::fs::copy("/proc/self/exe", &program).expect("room for a copy of this program");
    let open =
        |path| std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    open(dir.path()).and_then(|()| open(&program)).expect("own files can be opened to others");
    let status = Command::new(&program)
        .args(arguments)
        .env(AS_USER, "1")
        .uid(ORDINARY_UID)
        .gid(ORDINARY_UID)
        .current_dir("/")
        .status();
    status.is_ok_and(|status| status.success())
}
