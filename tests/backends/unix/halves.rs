//! The two ways of a stream, held apart.

use std::io::{Read, Write};

use ringloop::net::{OwnedReadHalf, OwnedWriteHalf, StreamSocket, TcpStream, UnixStream};
use ringloop::spawn;

use super::with_std;
use crate::support::run_on_each;

/// One function for both kinds of stream.
async fn greet<S: StreamSocket + 'static>(
    mut reader: OwnedReadHalf<S>,
    mut writer: OwnedWriteHalf<S>,
) -> S {
    writer.write_all(b"hello").await.unwrap();
    let mut buf = [0; 8];
    assert_eq!(reader.read(&mut buf).await.unwrap(), 5);
    reader.reunite(writer).unwrap()
}

#[test]
fn halves_of_both_families_are_one_code() {
    run_on_each(|| async {
        let (one, mut other) = UnixStream::pair().unwrap();
        other.write_all(b"there").await.unwrap();
        let (reader, writer) = one.into_split();
        assert!(
            reader.peer_addr().unwrap().is_unnamed() && writer.local_addr().unwrap().is_unnamed()
        );
        let mut one: UnixStream = greet(reader, writer).await;
        let (mut reader, mut writer) = one.split();
        assert!(reader.local_addr().unwrap().is_unnamed());
        writer.write_all(b"!").await.unwrap();
        let mut buf = [0; 8];
        let mut came = 0;
        while came < b"hello!".len() {
            came += other.read(&mut buf).await.unwrap();
        }
        drop(other);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0);

        let (one, mut other) = crate::tcp::pair().await;
        other.write_all(b"there").await.unwrap();
        let (reader, writer) = one.into_split();
        assert!(reader.peer_addr().unwrap().port() != 0);
        let _one: TcpStream = greet(reader, writer).await;
    });
}

#[test]
fn halves_of_two_streams_come_back_from_a_reunion() {
    run_on_each(|| async {
        let (one, other) = UnixStream::pair().unwrap();
        let ((reader, writer), (more, rest)) = (one.into_split(), other.into_split());
        let error = reader.reunite(rest).unwrap_err();
        assert_eq!(error.to_string(), "the halves are not of one stream");
        let (reader, rest) = (error.0, error.1);
        writer.reunite(reader).unwrap();
        more.reunite(rest).unwrap();
    });
}

#[test]
fn a_write_half_that_is_dropped_ends_the_stream_behind_its_bytes() {
    run_on_each(|| async {
        let (ours, mut theirs) = with_std();
        let (mut reader, mut writer) = ours.into_split();
        let writes = spawn(async move {
            writer.write_all(b"all of it").await.unwrap();
        });
        writes.await.unwrap();
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            theirs.write_all(b"answer").unwrap();
            all
        });
        let mut buf = [0; 8];
        assert_eq!(reader.read(&mut buf).await.unwrap(), 6);
        assert_eq!(crate::tcp::join(peer).await, b"all of it");
    });
}
