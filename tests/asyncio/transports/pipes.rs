//! Transports of pipes and of Unix sockets (TR-26, TR-27, L-26; checks 109, 110, 113, 116, 144, 145).

use ringloop::net::{PipeReader, PipeWriter, UnixListener, UnixStream, pipe};
use ringloop::protocol::{
    Transport, connect_accepted_socket, connect_read_pipe, connect_write_pipe,
    create_unix_connection,
};

use super::panics::telling;
use super::{Log, Noting, some_turns};
use crate::support::{on_each_backend, run_on_each};

async fn read_to_end(reader: &mut PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.read_chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    all
}

// TR-05, TR-06, TR-26, checks 109 and 144.
#[test]
fn a_read_pipe_gives_its_bytes_holds_them_back_and_has_no_half_open_end() {
    run_on_each(|| async {
        let (log, (reader, mut writer)) = (Log::default(), pipe().unwrap());
        let noting = Noting::quiet(&log).half_open();
        let transport = connect_read_pipe(|| noting, reader).await.unwrap();
        assert_eq!(log.all(), "made");
        writer.write_all(b"one").await.unwrap();
        log.until_received(3).await;
        transport.pause_reading();
        writer.write_all(b"two").await.unwrap();
        writer.flush().await.unwrap();
        some_turns().await;
        assert_eq!(log.received(), b"one");
        drop(writer);
        some_turns().await;
        assert_eq!(log.all(), "made data", "the end is held back as well");
        transport.resume_reading();
        transport.wait_closed().await;
        assert_eq!(log.received(), b"onetwo");
        assert_eq!(log.all(), "made data eof lost");
        transport.pause_reading();
        transport.resume_reading();
        assert!(!transport.is_reading());
    });
}

// TR-08, TR-11, TR-26.
#[test]
fn a_write_to_a_read_pipe_is_a_mistake_that_is_told_of() {
    on_each_backend(|builder| {
        let (mut runtime, told) = telling(builder);
        runtime.block_on(async {
            let (log, (reader, mut writer)) = (Log::default(), pipe().unwrap());
            let transport = connect_read_pipe(|| Noting::quiet(&log), reader).await.unwrap();
            assert!(!transport.can_write_eof());
            assert!(!transport.write(b"x"));
            assert!(told.try_recv().unwrap().starts_with("a write to the read end of a pipe"));
            transport.write_eof();
            writer.write_all(b"alive").await.unwrap();
            log.until_received(5).await;
            transport.close();
            transport.wait_closed().await;
            assert_eq!(log.all(), "made data lost");
            writer.closed().await.unwrap();
        });
    });
}

// TR-11, TR-18, TR-19, TR-27, checks 113, 114 and 145.
#[test]
fn a_write_pipe_sends_all_in_order_pauses_and_closes_at_the_end_of_writing() {
    run_on_each(|| async {
        for end in [Transport::write_eof, Transport::close] {
            let (log, (mut reader, writer)) = (Log::default(), pipe().unwrap());
            let transport = connect_write_pipe(|| Noting::quiet(&log), writer).await.unwrap();
            assert!(transport.can_write_eof() && !transport.is_reading());
            let large = vec![7; 300_000];
            assert!(transport.write(&large), "more than a pipe holds");
            transport.write(b"end");
            some_turns().await;
            assert_eq!(log.all(), "made pause");
            end(&transport);
            assert!(transport.is_closing());
            some_turns().await;
            assert!(transport.get_write_buffer_size() > 100_000);
            let all = read_to_end(&mut reader).await;
            assert_eq!((all.len(), &all[300_000..]), (300_003, &b"end"[..]));
            transport.wait_closed().await;
            assert_eq!(log.all(), "made pause resume lost");
        }
    });
}

// TR-12, TR-27, check 145.
// Seen to fail when nobody waited for the reader to go.
#[test]
fn a_write_pipe_hears_that_its_reader_has_gone() {
    run_on_each(|| async {
        // With nothing to send it closes.
        let (log, (reader, writer)) = (Log::default(), pipe().unwrap());
        let transport = connect_write_pipe(|| Noting::quiet(&log), writer).await.unwrap();
        transport.write(b"read by nobody, but taken by the kernel");
        some_turns().await;
        assert_eq!(log.all(), "made");
        drop(reader);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made lost");
        // With something it is lost.
        let (log, (reader, writer)) = (Log::default(), pipe().unwrap());
        let transport = connect_write_pipe(|| Noting::quiet(&log), writer).await.unwrap();
        transport.write(&[7; 300_000]);
        some_turns().await;
        drop(reader);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made pause lost:BrokenPipe");
        // An abort discards.
        let (log, (mut reader, writer)) = (Log::default(), pipe().unwrap());
        let transport = connect_write_pipe(|| Noting::quiet(&log), writer).await.unwrap();
        transport.write(&[7; 300_000]);
        some_turns().await;
        transport.abort();
        transport.wait_closed().await;
        assert_eq!(log.all(), "made pause lost");
        assert!(read_to_end(&mut reader).await.len() < 300_000);
    });
}

// TR-27: a descriptor of the program's; and a socket is a pipe as well.
#[test]
fn a_write_pipe_may_be_what_a_program_hands_over() {
    run_on_each(|| async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut theirs = UnixStream::from_std(theirs).unwrap();
        let log = Log::default();
        let writer = PipeWriter::from_std(ours).unwrap();
        let transport = connect_write_pipe(|| Noting::quiet(&log), writer).await.unwrap();
        transport.write(b"hello");
        transport.close();
        transport.wait_closed().await;
        assert_eq!(log.all(), "made lost");
        let chunk = theirs.read_chunk().await.unwrap().unwrap();
        assert_eq!(&chunk[..], b"hello");
        assert!(theirs.read_chunk().await.unwrap().is_none());
    });
}

// L-26, TR-03, PR-01 to PR-04, checks 108, 110, 116 and 121.
#[test]
fn a_unix_connection_is_a_connection_like_any_other() {
    run_on_each(|| async {
        let name = format!("ringloop-transports-{}.socket", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).await.unwrap();
        let (log, server_log) = (Log::default(), Log::default());
        let client = create_unix_connection(|| Noting::quiet(&log), &path).await.unwrap();
        assert_eq!(log.all(), "made");
        assert_eq!(client.unix_peer_addr().unwrap().as_pathname(), Some(path.as_path()));
        assert!(client.peer_addr().is_err());
        let (stream, _): (UnixStream, _) = listener.accept().await.unwrap();
        let half_open = Noting::quiet(&server_log).half_open();
        let server = connect_accepted_socket(|| half_open, stream).await.unwrap();
        client.write(b"question");
        client.write_eof();
        server_log.until_said("eof").await;
        server.write(&vec![1; 2 << 20]);
        server.close();
        log.until_received(2 << 20).await;
        client.wait_closed().await;
        server.wait_closed().await;
        assert_eq!(server_log.received(), b"question");
        assert_eq!(log.all(), "made data eof lost");
        assert_eq!(client.unix_peer_addr().unwrap().as_pathname(), Some(path.as_path()));
        assert_eq!(server.unix_local_addr().unwrap().as_pathname(), Some(path.as_path()));
        drop(listener);
        let _ = std::fs::remove_file(&path);
        let refused = create_unix_connection(|| Noting::quiet(&log), &path).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::NotFound);
    });
}
