//! Named pipes.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use ringloop::net::{PipeReader, PipeWriter};
use ringloop::spawn;
use ringloop::time::{sleep, timeout};

use super::{Temporary, read_pattern};
use crate::support::run_on_each;
use crate::tcp::pattern;

#[test]
fn a_named_pipe_carries_bytes_from_the_one_who_writes_it_to_the_one_who_reads_it() {
    run_on_each(|| async {
        let path = Temporary::fifo();
        let mut reader = PipeReader::open(&path.0).await.unwrap();
        let mut writer = PipeWriter::open(&path.0).await.unwrap();
        let task = spawn(async move { read_pattern(&mut reader).await.unwrap() });
        writer.write_all(pattern(0, 1 << 20)).await.unwrap();
        drop(writer);
        assert_eq!(task.await.unwrap(), 1 << 20);
    });
}

// Seen to fail when the first read did not wait to be told: it took the pipe that nobody writes yet for one
// that has ended.
#[test]
fn a_reader_waits_for_the_first_writer_and_sees_an_end_only_behind_the_last() {
    run_on_each(|| async {
        let path = Temporary::fifo();
        let mut reader = PipeReader::open(&path.0).await.unwrap();
        let early = timeout(Duration::from_millis(5), reader.read(&mut [0; 8])).await;
        assert!(early.is_err(), "an end before anybody has written: {early:?}");
        let one = std::fs::File::options().write(true).open(&path.0).unwrap();
        let mut other = one.try_clone().unwrap();
        drop(one);
        let early = timeout(Duration::from_millis(5), reader.read(&mut [0; 8])).await;
        assert!(early.is_err(), "one writer is left: {early:?}");
        other.write_all(b"x").unwrap();
        drop(other);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_named_pipe_that_nobody_reads_cannot_be_written_yet_and_the_error_says_why() {
    run_on_each(|| async {
        let path = Temporary::fifo();
        let error = PipeWriter::open(&path.0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(error.to_string().contains("once it has a reader"), "{error}");
        let reader = PipeReader::open(&path.0).await.unwrap();
        drop(PipeWriter::open(&path.0).await.unwrap());
        drop(reader);
    });
}

#[test]
fn a_path_that_leads_to_no_pipe_is_refused_and_left_as_it_is() {
    run_on_each(|| async {
        let path = Temporary::new();
        assert_eq!(PipeReader::open(&path.0).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(PipeWriter::open(&path.0).await.unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(&path.0, "content").unwrap();
        for error in [
            PipeReader::open(&path.0).await.unwrap_err(),
            PipeWriter::open(&path.0).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("a regular file"), "{error}");
        }
        assert_eq!(std::fs::read(&path.0).unwrap(), b"content");
        let error = PipeReader::open("a\0b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_full_named_pipe_of_somebody_that_blocks_does_not_hold_up_the_loop() {
    run_on_each(|| async {
        let path = Temporary::fifo();
        let mut reader = PipeReader::open(&path.0).await.unwrap();
        let blocking = std::fs::File::options().write(true).open(&path.0).unwrap();
        let mut writer = PipeWriter::from_std(blocking).unwrap();
        let task = spawn(async move {
            writer.write_all(pattern(0, 1 << 20)).await.unwrap();
            writer.close().await.unwrap();
        });
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!task.is_finished());
        assert_eq!(read_pattern(&mut reader).await.unwrap(), 1 << 20);
        task.await.unwrap();
    });
}

#[test]
fn a_named_pipe_of_somebody_that_blocks_is_read_without_holding_up_the_loop() {
    run_on_each(|| async {
        let path = Temporary::fifo();
        // Read and written by one: nobody is waited for.
        let both = std::fs::File::options().read(true).write(true).open(&path.0).unwrap();
        let mut reader = PipeReader::from_std(both.try_clone().unwrap()).unwrap();
        let early = timeout(Duration::from_millis(5), reader.read(&mut [0; 8])).await;
        assert!(early.is_err());
        (&both).write_all(b"hello").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 5);
    });
}
