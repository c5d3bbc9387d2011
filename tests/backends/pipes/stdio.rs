//! The standard streams, in a process of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringloop::net::{stderr, stdin, stdout};
use ringloop::time::sleep;
use ringloop::{BackendChoice, spawn};

use super::{Temporary, flags, read_pattern};
use crate::support::{Watchdog, backends, build, this_test};
use crate::tcp::pattern;

/// Names the backend in the child.
const BACKEND: &str = "RINGLOOP_BACKEND";

/// Runs `body` on a runtime where this process is the child of the test `name`; else `parent` for each
/// backend, with a command that is that child.
fn in_a_child<F: Future<Output = ()>>(
    name: &str,
    body: impl FnOnce() -> F,
    parent: impl Fn(Command),
) {
    if std::env::var_os("RINGLOOP_TEST_ALONE").is_some_and(|alone| alone == name) {
        return build(&ringloop::Builder::new()).block_on(body());
    }
    for backend in backends() {
        let _watchdog = Watchdog::start(format!("a child on {backend}"));
        let mut command = this_test(name);
        if backend != BackendChoice::Auto {
            command.env(BACKEND, backend.to_string());
        }
        parent(command);
    }
}

/// What stands between two marks: the harness writes to the same streams.
fn between(text: &[u8]) -> Vec<u8> {
    let find = |mark: &[u8]| text.windows(mark.len()).position(|window| window == mark);
    let begin = find(b"<<<").expect("the child has begun") + 3;
    text[begin..find(b">>>").expect("the child has ended")].to_vec()
}

fn end(child: Child, input: impl FnOnce(std::process::ChildStdin) + Send) -> (Vec<u8>, Vec<u8>) {
    let mut child = child;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        let writer = stdin.map(|stdin| scope.spawn(move || input(stdin)));
        let output = child.wait_with_output().unwrap();
        if let Some(writer) = writer {
            writer.join().unwrap();
        }
        output
    });
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {text}", output.status);
    (output.stdout, output.stderr)
}

/// Copies its input to its output and says so.
async fn echo() {
    let before = flags_of_all();
    let (mut input, mut output, mut errors) =
        (stdin().unwrap(), stdout().unwrap(), stderr().unwrap());
    output.write_all(b"<<<").await.unwrap();
    while let Some(chunk) = input.read_chunk().await.unwrap() {
        output.write_chunk(chunk).await.unwrap();
    }
    output.write_all(b">>>").await.unwrap();
    output.flush().await.unwrap();
    errors.write_all(b"<<<done>>>").await.unwrap();
    errors.flush().await.unwrap();
    assert_eq!(flags_of_all(), before, "flags that others share were changed");
}

fn flags_of_all() -> [i32; 3] {
    [flags(&std::io::stdin()), flags(&std::io::stdout()), flags(&std::io::stderr())]
}

// Seen to fail when the standard descriptors were set to be non-blocking.
#[test]
fn the_standard_streams_carry_bytes_and_their_flags_stay_as_they_are() {
    let name = "pipes::stdio::the_standard_streams_carry_bytes_and_their_flags_stay_as_they_are";
    in_a_child(name, echo, |mut command| {
        let pipe = || Stdio::piped();
        let child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
        let (out, err) = end(child, |mut stdin| stdin.write_all(pattern(0, 1 << 20)).unwrap());
        assert!(between(&out) == pattern(0, 1 << 20), "not what was written");
        assert_eq!(between(&err), b"done");
    });
}

#[test]
fn the_standard_streams_may_be_files() {
    let name = "pipes::stdio::the_standard_streams_may_be_files";
    in_a_child(name, echo, |mut command| {
        let (input, output) = (Temporary::new(), Temporary::new());
        std::fs::write(&input.0, pattern(0, 1 << 20)).unwrap();
        let file = |path: &Temporary| std::fs::File::options().read(true).open(&path.0).unwrap();
        command.stdin(file(&input)).stdout(std::fs::File::create(&output.0).unwrap());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        end(child, drop);
        let out = std::fs::read(&output.0).unwrap();
        assert!(between(&out) == pattern(0, 1 << 20), "not what was written");
    });
}

#[test]
fn the_standard_streams_may_be_sockets() {
    let name = "pipes::stdio::the_standard_streams_may_be_sockets";
    in_a_child(name, echo, |mut command| {
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixStream;
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let other = OwnedFd::from(theirs.try_clone().unwrap());
        command.stdin(OwnedFd::from(theirs)).stdout(other);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        ours.write_all(b"hello").unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        end(child, drop);
        let mut out = Vec::new();
        ours.read_to_end(&mut out).unwrap();
        assert_eq!(between(&out), b"hello");
    });
}

/// Writes more than a pipe holds, and goes on with other things meanwhile.
async fn write_while_nobody_reads() {
    let task = spawn(async {
        let mut out = stdout().unwrap();
        out.write_all(b"<<<").await.unwrap();
        out.write_all(pattern(0, 1 << 20)).await.unwrap();
        out.write_all(b">>>").await.unwrap();
        out.flush().await.unwrap();
    });
    for _ in 0..5 {
        sleep(Duration::from_millis(1)).await;
        assert!(!task.is_finished(), "the pipe has no end");
    }
    let mut errors = stderr().unwrap();
    errors.write_all(b"\nalive\n").await.unwrap();
    errors.flush().await.unwrap();
    task.await.unwrap();
}

// Seen to fail when a blocking pipe was written as it is: nobody was ever told that the child lives.
#[test]
fn a_full_standard_output_does_not_hold_up_the_loop() {
    let name = "pipes::stdio::a_full_standard_output_does_not_hold_up_the_loop";
    in_a_child(name, write_while_nobody_reads, |mut command| {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(errors.any(|line| line.unwrap() == "alive"), "the child has ended");
        let (out, _) = end(child, drop);
        assert!(between(&out) == pattern(0, 1 << 20), "not what was written");
    });
}

async fn count_input() {
    let mut input = stdin().unwrap();
    assert_eq!(read_pattern(&mut input).await.unwrap(), 300_000);
    // A second one finds the end as well, and closes nothing of the process's.
    drop(input);
    assert_eq!(stdin().unwrap().read(&mut [0]).await.unwrap(), 0);
    assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_dropped_standard_input_leaves_the_descriptor_open() {
    let name = "pipes::stdio::a_dropped_standard_input_leaves_the_descriptor_open";
    in_a_child(name, count_input, |mut command| {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        end(child, |mut stdin| stdin.write_all(pattern(0, 300_000)).unwrap());
    });
}

async fn drop_output() {
    let mut out = stdout().unwrap();
    out.write_all(b"<<<to the last byte>>>").await.unwrap();
}

#[test]
fn what_was_written_leaves_although_the_program_ends_right_after() {
    let name = "pipes::stdio::what_was_written_leaves_although_the_program_ends_right_after";
    in_a_child(name, drop_output, |mut command| {
        let (out, _) = end(command.stdout(Stdio::piped()).spawn().unwrap(), drop);
        assert_eq!(between(&out), b"to the last byte");
    });
}
