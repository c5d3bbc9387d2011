//! The same streams over Unix sockets.

use std::io::ErrorKind;

use ringloop::net::{UnixListener, UnixStream};
use ringloop::spawn;
use ringloop::stream::{copy, open_unix_connection};

use super::pattern;
use crate::support::run_on_each;

// S-03, S-01, check 107.
#[test]
fn a_path_and_an_abstract_name_are_connected_to_and_errors_come_out() {
    run_on_each(|| async {
        let name = format!("ringloop-stream-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        for path in [path, format!("\0{name}").into()] {
            let listener = UnixListener::bind(&path).await.unwrap();
            let serving = spawn(async move {
                let (mut reader, writer) = listener.accept().await?.0.into_stream();
                copy(&mut reader, &writer).await?;
                writer.write_eof()?;
                writer.close();
                writer.wait_closed().await
            });
            let (mut reader, writer) = open_unix_connection(&path).await.unwrap();
            let all = pattern(3_000_000);
            writer.write(&all).unwrap();
            writer.write_eof().unwrap();
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            assert!(got == all);
            serving.await.unwrap().unwrap();
        }
        for (path, kind) in [("", ErrorKind::InvalidInput), ("/not/there", ErrorKind::NotFound)] {
            assert_eq!(open_unix_connection(path).await.unwrap_err().kind(), kind);
        }
    });
}

// S-18, S-22: it has no address of the internet, and closes as every other.
#[test]
fn a_unix_stream_has_lines_marks_and_a_close_that_sends() {
    run_on_each(|| async {
        let (one, other) = UnixStream::pair().unwrap();
        let ((_reader, writer), (mut theirs, back)) = (one.into_stream(), other.into_stream());
        assert_eq!(writer.peer_addr().unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(writer.set_nodelay(true).is_err());
        for number in 0..100_000 {
            writer.write(format!("{number}\n").as_bytes()).unwrap();
        }
        assert!(writer.write_buffer_size() > writer.write_buffer_limits().1);
        let reading = spawn(async move {
            let (mut lines, mut count) = (theirs.lines(), 0);
            while let Some(line) = lines.next_line().await? {
                assert_eq!(line.parse(), Ok(count));
                count += 1;
            }
            std::io::Result::Ok(count)
        });
        writer.drain().await.unwrap();
        writer.close();
        writer.wait_closed().await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), 100_000);
        drop(back);
    });
}
