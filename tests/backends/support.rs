//! What every test uses: a runtime on each backend, and a watchdog.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use ringloop::{BackendChoice, Builder, Runtime};

/// How long a test may take on one backend before the process is ended, on a machine of usual speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many times slower than usual this machine is: `RINGLOOP_TEST_SLOWNESS`, for emulated ones.
pub(crate) fn slowness() -> u32 {
    let told = std::env::var("RINGLOOP_TEST_SLOWNESS");
    told.map_or(1, |text| text.parse().expect("RINGLOOP_TEST_SLOWNESS is a number"))
}

/// The backends to test: the one that `RINGLOOP_BACKEND` names, or both, or what there is.
pub(crate) fn backends() -> Vec<BackendChoice> {
    let named: BackendChoice = match std::env::var("RINGLOOP_BACKEND") {
        Ok(text) => text.parse().expect("RINGLOOP_BACKEND names a backend"),
        Err(_) => BackendChoice::Auto,
    };
    // Where memory is scarce (ci/memlock) a ring may be had now and not a moment later: each runtime
    // chooses for itself.
    if named != BackendChoice::Auto || std::env::var_os("RINGLOOP_TEST_SCARCE").is_some() {
        return vec![named];
    }
    match Builder::new().backend(BackendChoice::Uring).build() {
        Ok(_) => vec![BackendChoice::Uring, BackendChoice::Epoll],
        Err(_) => vec![BackendChoice::Auto],
    }
}

/// Runs `test` once for each backend, with a builder that makes it.
pub(crate) fn on_each_backend(test: impl Fn(&mut Builder)) {
    for backend in backends() {
        let _watchdog = Watchdog::start(format!("a test on {backend}"));
        test(Builder::new().backend(backend));
    }
}

/// Runs a future on a runtime of each backend; the runtime ends within the same watch.
pub(crate) fn run_on_each<F: Future<Output = ()>>(test: impl Fn() -> F) {
    on_each_backend(|builder| build(builder).block_on(test()));
}

/// Whether a test build was told to alter the world in this respect: `KERNEL`, `QUEUES` or `WAITS`
/// (`src/testing.rs`).
pub(crate) fn altered(what: &str) -> bool {
    std::env::var_os(format!("RINGLOOP_TEST_{what}")).is_some()
}

pub(crate) fn build(builder: &Builder) -> Runtime {
    builder.build().expect("a backend that was there a moment ago")
}

/// Ends the process when it is not dropped in time: a hang fails loudly, and names itself.
pub(crate) struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    pub(crate) fn start(what: String) -> Self {
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        let (alive, dead) = channel::<()>();
        std::thread::spawn(move || {
            let patience = PATIENCE * slowness();
            if dead.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Not eprintln: the harness would capture it, and the abort lose it.
                let text = format!("{name}: {what} hangs: no end within {patience:?}\n");
                let _ = std::io::stderr().write_all(text.as_bytes());
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

/// A folder that goes with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringloop-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // That of a process that had this number before, and died.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Names the test that a process runs alone.
const ALONE: &str = "RINGLOOP_TEST_ALONE";

/// Runs `body` in a process of its own, for tests of what a process has only one of. `name` is the
/// test's own.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return body();
    }
    // What is forgotten on purpose leaves its files behind.
    let folder = Folder::new();
    let output = this_test(name).env("TMPDIR", folder.path()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name}, alone: {}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "no test is named {name}:\n{out}");
}

/// This program, to run the test of that name alone.
pub(crate) fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]).env(ALONE, name);
    command
}

/// CPU time that this thread has used so far.
pub(crate) fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has /proc");
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.expect("schedstat begins with nanoseconds on the CPU"))
}

/// Runs its closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Polls `future` once, as an executor would that never wakes.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx)
}

/// The sentence of a panic.
pub(crate) fn sentence(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).expect("the payload is a text")
}
