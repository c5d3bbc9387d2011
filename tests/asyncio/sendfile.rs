//! Files that are sent, and bytes that go from one stream straight into another.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream, pipe, splice};
use ringloop::spawn;
use ringloop::task::yield_now;
use ringloop::time::timeout;

use crate::pipes::{pattern, read_all};
use crate::support::{build, on_each_backend, poll_once, run_on_each};

/// A file that goes away with its name.
struct Temporary(PathBuf);

impl Temporary {
    fn new(bytes: &[u8]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("ringloop-send-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (one, listener.accept().await.unwrap().0)
}

/// What comes until the end.
fn received(mut stream: TcpStream) -> ringloop::JoinHandle<Vec<u8>> {
    spawn(async move {
        let mut all = Vec::new();
        while let Some(chunk) = stream.read_chunk().await.unwrap() {
            all.extend_from_slice(&chunk);
        }
        all
    })
}

// L-38, L-39, check 130.
#[test]
fn a_file_is_sent_whole_in_part_and_between_other_data() {
    // From the page cache, and by the queue.
    for direct in [true, false] {
        on_each_backend(|builder| build(builder.direct(direct)).block_on(send_parts()));
    }
}

async fn send_parts() {
    let bytes = pattern(3_000_001);
    let there = Temporary::new(&bytes);
    let file = there.open();
    for (range, sent) in [
        (0..u64::MAX, &bytes[..]),
        (0..100, &bytes[..100]),
        (1000..1_500_000, &bytes[1000..1_500_000]),
        (2_999_999..4_000_000, &bytes[2_999_999..]),
        (3_000_001..4_000_000, &[]),
        (9_000_000..9_000_001, &[]),
        (5..5, &[]),
    ] {
        let (mut ours, theirs) = connected().await;
        let all = received(theirs);
        ours.write_all(b"before").await.unwrap();
        let mut left = range.clone();
        assert_eq!(ours.send_file(&file, &mut left).await.unwrap(), sent.len() as u64);
        assert_eq!(left, range.start + sent.len() as u64..range.end);
        ours.write_all(b"after").await.unwrap();
        drop(ours);
        let all = all.await.unwrap();
        let inner = all.strip_prefix(b"before").unwrap().strip_suffix(b"after").unwrap();
        assert!(inner == sent, "{range:?}: {} bytes", inner.len());
    }
}

// L-38, check 130.
#[test]
fn an_empty_file_is_nothing_and_what_is_no_file_is_refused() {
    run_on_each(|| async {
        let (mut ours, theirs) = connected().await;
        let all = received(theirs);
        let empty = Temporary::new(b"");
        assert_eq!(ours.send_file(&empty.open(), &mut (0..u64::MAX)).await.unwrap(), 0);
        let (reader, _writer) = std::io::pipe().unwrap();
        let error = ours.send_file(&reader, &mut (0..1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = ours.send_file(&empty.open(), &mut (u64::MAX - 1..u64::MAX)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let directory = File::open("/").unwrap();
        assert!(ours.send_file(&directory, &mut (0..1)).await.is_err());
        drop(ours);
        assert!(all.await.unwrap().is_empty());
    });
}

// L-38, check 130.
#[test]
fn a_peer_that_goes_midway_is_an_error_and_the_files_position_is_as_it_was() {
    run_on_each(|| async {
        let bytes = pattern(32 << 20);
        let there = Temporary::new(&bytes);
        let mut file = there.open();
        file.seek(SeekFrom::Start(17)).unwrap();
        let (mut ours, mut theirs) = connected().await;
        let peer = spawn(async move {
            let mut buf = vec![0; 100_000];
            assert!(theirs.read(&mut buf).await.unwrap() > 0);
            theirs.abort();
        });
        let mut range = 0..u64::MAX;
        let error = match ours.send_file(&file, &mut range).await {
            Ok(_) => ours.flush().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{error}"
        );
        assert!(range.start > 0, "what was taken is not told");
        assert_eq!(file.stream_position().unwrap(), 17);
        peer.await.unwrap();
    });
}

// L-38, check 130. A drop at each await: what the range says is what the peer gets. Seen to fail when the range
// moves on before the piece is taken.
#[test]
fn a_send_that_is_dropped_anywhere_says_how_much_went() {
    run_on_each(|| async {
        let bytes = pattern(8 << 20);
        let there = Temporary::new(&bytes);
        let file = there.open();
        for polls in [0, 1, 2, 3, 5, 8, 13, 21] {
            let (mut ours, theirs) = connected().await;
            let all = received(theirs);
            let mut range = 100..u64::MAX;
            let mut send = Box::pin(ours.send_file(&file, &mut range));
            for _ in 0..polls {
                let mut polled = false;
                let done = std::future::poll_fn(|cx| {
                    if std::mem::replace(&mut polled, true) {
                        return std::task::Poll::Ready(false);
                    }
                    let done = send.as_mut().poll(cx).is_ready();
                    if done {
                        return std::task::Poll::Ready(true);
                    }
                    cx.waker().wake_by_ref();
                    std::task::Poll::Pending
                });
                if done.await {
                    break;
                }
            }
            drop(send);
            ours.write_all(b"the end").await.unwrap();
            drop(ours);
            let all = all.await.unwrap();
            let inner = all.strip_suffix(b"the end").unwrap();
            assert_eq!(inner.len() as u64, range.start - 100, "after {polls} polls");
            assert!(*inner == bytes[100..range.start as usize]);
        }
    });
}

// L-38: a file that the page cache cannot be asked for (tmpfs, procfs) goes by the queue.
#[test]
fn a_file_of_ours_and_one_that_is_in_no_cache_are_sent_as_well() {
    run_on_each(|| async {
        let (mut reader, mut writer) = pipe().unwrap();
        let text = std::fs::read("/proc/version").unwrap();
        let file = ringloop::fs::File::open("/proc/version").await.unwrap();
        let n = writer.send_file(&file, &mut (0..u64::MAX)).await.unwrap();
        assert_eq!(n, text.len() as u64);
        drop(writer);
        assert_eq!(read_all(&mut reader).await, text);
    });
}

// L-39.
#[test]
fn bytes_go_from_pipe_to_socket_to_pipe_and_each_way_in_order() {
    run_on_each(|| async {
        let bytes = pattern(3_000_000);
        let (mut first, mut writer) = pipe().unwrap();
        let (mut ours, mut theirs) = connected().await;
        let (mut last, mut onward) = pipe().unwrap();
        let copy = bytes.clone();
        let source = spawn(async move {
            for piece in copy.chunks(70_001) {
                writer.write_all(piece).await.unwrap();
            }
        });
        let there = spawn(async move {
            // Some of it is parked before the first splice.
            let mut head = [0; 10];
            assert_eq!(first.read(&mut head).await.unwrap(), 10);
            ours.write_all(&head).await.unwrap();
            let mut moved = 10;
            loop {
                match splice(&mut first, &mut ours, 100_000).await.unwrap() {
                    0 => return moved,
                    n => moved += n,
                }
            }
        });
        let back = spawn(async move {
            while splice(&mut theirs, &mut onward, usize::MAX).await.unwrap() > 0 {}
        });
        let all = read_all(&mut last).await;
        assert!(all == bytes, "{} bytes", all.len());
        source.await.unwrap();
        assert_eq!(there.await.unwrap(), bytes.len());
        back.await.unwrap();
    });
}

// L-39: nothing is between the two when it is dropped.
#[test]
fn a_splice_that_is_dropped_has_moved_nothing() {
    run_on_each(|| async {
        let (mut first, mut writer) = pipe().unwrap();
        let (mut last, mut onward) = pipe().unwrap();
        let (mut position, bytes) = (0, pattern(200 * 97));
        for round in 0..200 {
            let mut dropped = Box::pin(splice(&mut first, &mut onward, usize::MAX));
            for _ in 0..round % 3 {
                assert!(poll_once(&mut dropped).is_pending());
                yield_now().await;
            }
            writer.write_all(&bytes[round * 97..][..97]).await.unwrap();
            writer.flush().await.unwrap();
            drop(dropped);
            let early = timeout(Duration::from_micros(10), last.read(&mut [0; 1])).await;
            assert!(early.is_err(), "a dropped splice has moved something");
            assert_eq!(splice(&mut first, &mut onward, usize::MAX).await.unwrap(), 97);
            let mut buf = [0; 200];
            let n = last.read(&mut buf).await.unwrap();
            assert_eq!(buf[..n], bytes[position..position + n]);
            position += n;
        }
        assert_eq!(splice(&mut first, &mut onward, 0).await.unwrap(), 0);
        drop(writer);
        assert_eq!(splice(&mut first, &mut onward, 1).await.unwrap(), 0);
    });
}

// L-39.
#[test]
fn a_splice_to_nobody_is_an_error_and_waits_for_room_where_somebody_is() {
    run_on_each(|| async {
        let (mut first, mut writer) = pipe().unwrap();
        let (last, mut onward) = pipe().unwrap();
        drop(last);
        writer.write_all(b"x").await.unwrap();
        writer.flush().await.unwrap();
        let error = loop {
            // What was taken fails with the next look.
            if let Err(error) = splice(&mut first, &mut onward, 10).await {
                break error;
            }
            writer.write_all(b"x").await.unwrap();
            let _ = onward.flush().await;
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);

        let (mut first, mut writer) = pipe().unwrap();
        let (mut last, mut onward) = pipe().unwrap();
        let source = spawn(async move { writer.write_all(&pattern(1 << 20)).await.unwrap() });
        let moving = spawn(async move {
            while splice(&mut first, &mut onward, usize::MAX).await.unwrap() > 0 {}
        });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!moving.is_finished());
        assert!(read_all(&mut last).await == pattern(1 << 20));
        source.await.unwrap();
        moving.await.unwrap();
    });
}
