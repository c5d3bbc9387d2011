//! Which backend it is, why, and what a builder refuses.

use std::io::ErrorKind;
use std::process::Command;

use ringloop::{BackendChoice, Builder};

/// Builds with what the environment says: the child of the tests below. Prints one line.
#[test]
fn child_of_the_environment() {
    if std::env::var_os("RINGLOOP_TEST_CHILD").is_some() {
        match Builder::new().build() {
            Ok(runtime) => println!("built {}: {}", runtime.backend().choice(), runtime.backend()),
            Err(error) => println!("refused {:?}: {error}", error.kind()),
        }
    }
}

/// The child's line, with `RINGLOOP_BACKEND` set to `value`.
fn with_environment(value: Option<&str>) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "choose::child_of_the_environment", "--nocapture"]);
    child.env("RINGLOOP_TEST_CHILD", "1").env_remove("RINGLOOP_BACKEND");
    if let Some(value) = value {
        child.env("RINGLOOP_BACKEND", value);
    }
    let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let mut words = output.lines().filter_map(|line| {
        let at = line.find("built ").or_else(|| line.find("refused "))?;
        Some(line[at..].to_owned())
    });
    words.next().unwrap_or_else(|| panic!("the child said nothing: {output}"))
}

/// The sentence about io_uring that a seccomp filter must cause (`EPERM`, or `enter:EPERM` where it
/// forbids that call only); `None` where nobody filters.
fn expected_refusal() -> Option<String> {
    let forbidden = std::env::var("RINGLOOP_EXPECT_REFUSED").ok()?;
    let (call, error) = forbidden.split_once(':').unwrap_or(("setup", &forbidden));
    let (who, what) = match error {
        "EPERM" | "EACCES" => (format!("io_uring_{call}"), "is forbidden here"),
        "ENOSYS" if call == "setup" => ("io_uring".to_owned(), "does not exist here"),
        "ENOSYS" => (format!("io_uring_{call}"), "does not exist here"),
        "ENOMEM" => (format!("io_uring_{call}"), "got no memory"),
        _ => panic!("RINGLOOP_EXPECT_REFUSED={forbidden} is not known to this test"),
    };
    Some(format!("{who} {what} ({error}"))
}

fn uring_refused() -> Option<std::io::Error> {
    Builder::new().backend(BackendChoice::Uring).build().err()
}

#[test]
fn the_environment_chooses_and_a_wrong_word_is_an_error() {
    assert_eq!(with_environment(Some("epoll")), "built epoll: epoll: asked for");
    let wrong = with_environment(Some("kqueue"));
    let sentence = "RINGLOOP_BACKEND: 'kqueue' is no backend: say auto, uring or epoll";
    assert_eq!(wrong, format!("refused InvalidInput: {sentence}"));
    for auto in [None, Some("auto"), Some("")] {
        let said = with_environment(auto);
        match uring_refused() {
            None => assert!(said.starts_with("built uring: uring: io_uring with "), "{said}"),
            Some(error) => assert_eq!(said, format!("built epoll: epoll: {error}")),
        }
    }
    let uring = with_environment(Some("uring"));
    match uring_refused() {
        None => assert!(uring.starts_with("built uring: uring: io_uring with "), "{uring}"),
        Some(error) => assert_eq!(uring, format!("refused Unsupported: {error}")),
    }
}

#[test]
fn what_the_program_asks_for_wins_over_the_environment() {
    // Under ci/check the environment says uring or epoll; the builder says otherwise.
    let runtime = Builder::new().backend(BackendChoice::Epoll).build().unwrap();
    assert_eq!(runtime.backend().choice(), BackendChoice::Epoll);
    assert_eq!(runtime.backend().to_string(), "epoll: asked for");
    if let Ok(runtime) = Builder::new().backend(BackendChoice::Uring).build() {
        assert_eq!(runtime.backend().choice(), BackendChoice::Uring);
        let said = runtime.backend().to_string();
        assert!(said.starts_with("uring: io_uring with "), "{said}");
    }
}

#[test]
fn where_io_uring_is_refused_the_sentence_says_why() {
    let Some(sentence) = expected_refusal() else {
        // Nobody filters here: where io_uring is refused all the same, a reason is given.
        if let Some(error) = uring_refused() {
            assert!(error.to_string().contains("io_uring"), "{error}");
        }
        return;
    };
    let error = uring_refused().expect("the filter forbids io_uring");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with(&sentence), "{error}");
    let said = with_environment(Some("auto"));
    assert!(said.starts_with(&format!("built epoll: epoll: {sentence}")), "{said}");
}

/// Prints the backend's sentence, for those who run this test with `--nocapture`.
#[test]
fn the_backend_that_was_chosen_is_the_one_that_was_expected() {
    // Seen to fail when the set-up ladder began at its second rung.
    let said = Builder::new().build().unwrap().backend().to_string();
    println!("the backend here is {said}");
    if let Ok(expected) = std::env::var("RINGLOOP_EXPECT_BACKEND") {
        assert!(said.starts_with(&expected), "{expected:?} was expected, it is {said:?}");
    }
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let buffers = |count, size| Builder::new().buffers(count, size).build();
    for count in [0, 3, 100, 32769, u16::MAX] {
        let error = buffers(count, 1024).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            format!(
                "Builder::buffers: the count must be a power of two from 1 to 32768, not {count}"
            )
        );
    }
    for size in [0, 255, (1 << 20) + 1, u32::MAX] {
        let error = buffers(4, size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            format!("Builder::buffers: the size must be from 256 bytes to 1 MiB, not {size}")
        );
    }
    for (count, size) in [(1, 256), (1, 1 << 20), (4096, 256), (32768, 256)] {
        crate::support::on_each_backend(|builder| {
            let mut runtime = crate::support::build(builder.buffers(count, size));
            assert_eq!(runtime.block_on(async { 1 }), 1);
        });
    }
}

#[test]
fn a_cpu_that_is_not_allowed_is_refused_with_those_that_are() {
    // In a thread of its own, which is pinned in the end.
    std::thread::spawn(|| {
        let error = Builder::new().cpu(1_000_000).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        let allowed = text
            .strip_prefix("cannot pin to CPU 1000000: the CPUs allowed here are ")
            .unwrap_or_else(|| panic!("{text}"));
        let allowed: Vec<usize> = allowed.split(", ").map(|cpu| cpu.parse().unwrap()).collect();
        let cpu = *allowed.last().unwrap();
        let mut runtime = Builder::new().cpu(cpu).build().unwrap();
        assert_eq!(runtime.block_on(async { 1 }), 1);
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
        assert_eq!(line.split_whitespace().last(), Some(cpu.to_string().as_str()));
    })
    .join()
    .unwrap();
}
