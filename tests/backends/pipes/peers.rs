//! Programs that know nothing of us, at the other end.

use std::process::{Command, Stdio};

use ringloop::net::{PipeReader, PipeWriter, pipe};
use ringloop::spawn;

use super::read_pattern;
use crate::support::run_on_each;
use crate::tcp::pattern;

#[test]
fn cat_gives_back_what_it_got_whatever_the_sizes() {
    run_on_each(|| async {
        let mut cat = Command::new("cat");
        let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut to = PipeWriter::from_std(cat.stdin.take().unwrap()).unwrap();
        let mut from = PipeReader::from_std(cat.stdout.take().unwrap()).unwrap();
        let back = spawn(async move { read_pattern(&mut from).await.unwrap() });
        let mut position = 0;
        for i in 0..400 {
            let len = if i % 50 == 0 { 300_000 } else { i * 31 % 4000 };
            to.write_all(pattern(position, len)).await.unwrap();
            position += len;
        }
        drop(to);
        assert_eq!(back.await.unwrap(), position);
        assert!(cat.wait().unwrap().success());
    });
}

#[test]
fn a_pipe_of_ours_is_given_to_a_child_and_blocks_there() {
    run_on_each(|| async {
        let (mut reader, writer) = pipe().unwrap();
        let (input, mut to) = pipe().unwrap();
        let (input, parked) = input.into_std().await.unwrap();
        assert!(parked.is_empty());
        let writer = writer.into_std().await.unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read line; sleep 0.01; echo \"it said $line\"; cat >/dev/null"]);
        let mut child = command.stdin(input).stdout(writer).spawn().unwrap();
        // It has the ends as well.
        drop(command);
        to.write_all(b"hello\n").await.unwrap();
        let mut all = Vec::new();
        while all.last() != Some(&b'\n') {
            all.extend_from_slice(&reader.read_chunk().await.unwrap().unwrap());
        }
        assert_eq!(all, b"it said hello\n");
        drop(to);
        assert!(reader.read_chunk().await.unwrap().is_none());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_child_that_goes_away_breaks_the_pipe_to_it() {
    run_on_each(|| async {
        let mut child = Command::new("sh");
        let mut child = child.args(["-c", "read line"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut to = PipeWriter::from_std(child.stdin.take().unwrap()).unwrap();
        to.write_all(b"a line\n").await.unwrap();
        to.closed().await.unwrap();
        assert!(child.wait().unwrap().success());
        to.write_all(b"more").await.unwrap();
        assert_eq!(to.flush().await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_pause_in_reading_holds_up_the_child_and_no_byte_is_lost() {
    run_on_each(|| async {
        let mut child = Command::new("sh");
        child.args(["-c", "head -c 3000000 /dev/zero; echo done >&2"]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut from = PipeReader::from_std(child.stdout.take().unwrap()).unwrap();
        let mut said = PipeReader::from_std(child.stderr.take().unwrap()).unwrap();
        let first = from.read(&mut [0; 1000]).await.unwrap();
        let mut buf = [0; 8];
        let early =
            ringloop::time::timeout(std::time::Duration::from_millis(20), said.read(&mut buf));
        assert!(early.await.is_err(), "the child was not held up");
        let mut all = first;
        while let Some(chunk) = from.read_chunk().await.unwrap() {
            all += chunk.len();
        }
        assert_eq!(all, 3_000_000);
        assert_eq!(said.read(&mut [0; 8]).await.unwrap(), 5);
        assert!(child.wait().unwrap().success());
    });
}
