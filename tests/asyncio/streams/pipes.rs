//! Readers and writers of pipes.

use std::process::{Command, Stdio};

use ringloop::net::{PipeReader, PipeWriter, pipe};
use ringloop::spawn;
use ringloop::stream::copy;

use super::pattern;
use crate::support::run_on_each;

// L-49, L-50, S-06, S-15.
#[test]
fn a_pipe_carries_lines_and_more_than_it_has_room_for_and_its_end_is_the_writers() {
    run_on_each(|| async {
        let (reader, writer) = pipe().unwrap();
        let (mut reader, writer) = (reader.into_stream(), writer.into_stream());
        let all = pattern(2_000_000);
        writer.write(b"a line\n").unwrap();
        writer.write(&all).unwrap();
        assert!(writer.write_buffer_size() > 64 * 1024, "nobody reads");
        writer.write_eof().unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line, "a line\n");
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        assert!(got == all && reader.at_eof());
    });
}

// L-50, check 145.
#[test]
fn a_writer_whose_reader_has_gone_is_told_by_drain() {
    run_on_each(|| async {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (reader.into_stream(), writer.into_stream());
        writer.write(&pattern(1_000_000)).unwrap();
        drop(reader);
        let error = writer.drain().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

// L-49, L-50.
#[test]
fn a_program_is_fed_and_read_by_streams_at_the_same_time() {
    run_on_each(|| async {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = PipeWriter::from_std(child.stdin.take().unwrap()).unwrap().into_stream();
        let output = PipeReader::from_std(child.stdout.take().unwrap()).unwrap();
        let all = pattern(3_000_000);
        let fed = all.clone();
        let feeding = spawn(async move {
            for piece in fed.chunks(10_000) {
                input.write_all(piece).await.unwrap();
            }
            input.write_eof().unwrap();
        });
        // Through a second pipe, by `copy`.
        let (through, into) = pipe().unwrap();
        let copying = spawn(async move {
            let into = into.into_stream();
            let copied = copy(&mut output.into_stream(), &into).await.unwrap();
            into.write_eof().unwrap();
            copied
        });
        let mut got = Vec::new();
        through.into_stream().read_to_end(&mut got).await.unwrap();
        assert!(got == all);
        assert_eq!(copying.await.unwrap(), 3_000_000);
        feeding.await.unwrap();
        child.wait().unwrap();
    });
}
