//! Pipes as asyncio connects them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use ringloop::net::{PipeReader, PipeWriter, pipe};
use ringloop::spawn;
use ringloop::task::yield_now;

use crate::support::{poll_once, run_on_each};

/// Bytes in which every position is recognizable.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i >> 8) as u8).collect()
}

pub(crate) async fn read_all(reader: &mut PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.read_chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    all
}

// L-49, TR-26, check 144.
#[test]
fn a_read_pipe_gives_its_data_and_then_its_end() {
    run_on_each(|| async {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut reader = PipeReader::from_std(reader).unwrap();
        writer.write_all(b"data").unwrap();
        let mut buf = [0; 8];
        assert_eq!(reader.read(&mut buf).await.unwrap(), 4);
        writer.write_all(b"and more").unwrap();
        drop(writer);
        assert_eq!(read_all(&mut reader).await, b"and more");
        assert!(reader.read_chunk().await.unwrap().is_none());
    });
}

// L-49, L-50, check 144.
#[test]
fn a_regular_file_is_no_pipe() {
    run_on_each(|| async {
        let file = File::open("/proc/self/exe").unwrap();
        let error = PipeReader::from_std(file.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(PipeWriter::from_std(file).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

// L-50, TR-27, check 145.
#[test]
fn a_write_pipe_writes_in_part_waits_for_room_and_closes_behind_the_last_byte() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let bytes = pattern(1 << 20);
        let copy = bytes.clone();
        let task = spawn(async move {
            writer.write_all(&copy).await.unwrap();
            // Bytes are pending: the close comes behind them.
            writer.close().await.unwrap();
        });
        yield_now().await;
        assert!(!task.is_finished());
        assert!(read_all(&mut reader).await == bytes);
        task.await.unwrap();
    });
}

// L-50, TR-27, check 145.
#[test]
fn a_reader_that_goes_is_noticed_with_and_without_pending_data() {
    run_on_each(|| async {
        let (reader, mut writer) = pipe().unwrap();
        let mut closed = Box::pin(writer.closed());
        assert!(poll_once(&mut closed).is_pending());
        drop(reader);
        closed.await.unwrap();
        // Nothing was pending: nothing is lost, and nothing is an error.
        writer.flush().await.unwrap();

        let (reader, mut writer) = pipe().unwrap();
        let bytes = pattern(1 << 20);
        assert!(poll_once(&mut Box::pin(writer.write_all(&bytes))).is_pending());
        drop(reader);
        writer.closed().await.unwrap();
        assert_eq!(writer.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

// TR-27, check 145.
#[test]
fn an_aborted_write_pipe_closes_at_once() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let bytes = pattern(1 << 20);
        assert!(poll_once(&mut Box::pin(writer.write_all(&bytes))).is_pending());
        writer.abort();
        let some = read_all(&mut reader).await;
        assert!(some.len() < bytes.len() && some == bytes[..some.len()], "not a prefix");
    });
}

// check 140: who reads late finds what a child has written before it ended.
#[test]
fn what_a_child_wrote_is_there_after_its_exit() {
    run_on_each(|| async {
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "echo hello"]).stdout(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        assert!(child.wait().unwrap().success());
        let mut output = PipeReader::from_std(output).unwrap();
        assert_eq!(read_all(&mut output).await, b"hello\n");
        let mut empty = Vec::new();
        let (mut std, parked) = output.into_std().await.unwrap();
        std.read_to_end(&mut empty).unwrap();
        assert!(empty.is_empty() && parked.is_empty());
    });
}
