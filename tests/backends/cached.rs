//! Reads of what is in the page cache: at once, without the queue, and otherwise as ever.
#![expect(unsafe_code, reason = "preadv2(2), posix_fadvise(2), mkfifo(3)")]

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use ringloop::fs::File;
use ringloop::net::Readiness;
use ringloop::{Builder, metrics, spawn};

use crate::support::{build, on_each_backend, poll_once, run_on_each};
use crate::tcp::{pattern, until};

/// The most that one call brings from the cache, and from elsewhere.
const MOST: usize = 1 << 20;
const QUEUED: usize = 64 << 10;

/// A name that goes away with whatever it stands for.
struct Temporary(PathBuf);

impl Temporary {
    fn name() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("ringloop-cached-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// A file of `len` bytes of the pattern.
    fn file(len: usize) -> Self {
        let this = Self::name();
        let bytes: Vec<u8> = pattern(0, MOST).iter().copied().cycle().take(len).collect();
        std::fs::write(&this.0, bytes).unwrap();
        this
    }

    /// Puts the file out of the cache, as far as the kernel lets it.
    fn out_of_cache(&self) {
        let file = std::fs::File::open(&self.0).unwrap();
        file.sync_all().unwrap();
        // SAFETY: numbers only.
        let advised =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(advised, 0);
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether the kernel reads this file without waiting: not everywhere, tmpfs for one says no.
fn promised(path: &Path) -> bool {
    let file = std::fs::File::open(path).unwrap();
    let mut byte = 0_u8;
    let slice = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: one slice of one byte.
    unsafe { libc::preadv2(file.as_raw_fd(), &raw const slice, 1, 0, libc::RWF_NOWAIT) == 1 }
}

/// What the file holds at `position`.
fn at(position: usize, len: usize) -> Vec<u8> {
    (position..position + len).map(|i| pattern(i % MOST, 1)[0]).collect()
}

/// Calls past the queue and completions since `before`.
fn since(before: ringloop::Metrics) -> (u64, u64) {
    let now = metrics();
    (now.direct_calls - before.direct_calls, now.completions - before.completions)
}

// Seen to fail when `Cached::read` never tries, and when it does not ask whether it may.
#[test]
fn what_is_cached_is_read_without_the_queue_and_without_the_option_by_it() {
    const READS: usize = 1000;
    on_each_backend(|builder: &mut Builder| {
        let there = Temporary::file(64 << 10);
        for (path, zeroes) in [(there.0.as_path(), false), (Path::new("/dev/zero"), true)] {
            let promised = promised(path);
            for direct in [true, false] {
                build(builder.direct(direct)).block_on(async {
                    let file = File::open(path).await.unwrap();
                    let before = metrics();
                    let mut buf = [1; 4096];
                    for i in 0..READS {
                        let offset = i * 61;
                        let n = file.read_at(&mut buf, offset as u64).await.unwrap();
                        let expected = if zeroes { vec![0; n] } else { at(offset, n) };
                        assert!(n > 0 && buf[..n] == expected);
                    }
                    let expected = match (direct, promised) {
                        (true, true) => (READS as u64, 0),
                        // Once, to hear that it never will.
                        (true, false) => (1, READS as u64),
                        (false, _) => (0, READS as u64),
                    };
                    assert_eq!(since(before), expected, "{path:?}, direct {direct}");
                });
            }
        }
    });
}

// Seen to fail when a miss is taken for the end of the file.
#[test]
fn what_is_not_cached_comes_right_wherever_the_edge_of_the_cache_is() {
    const LEN: usize = 1_500_000;
    run_on_each(|| async {
        let there = Temporary::file(LEN);
        for warm in [0, 4096, 5 * 4096 + 1] {
            there.out_of_cache();
            std::fs::File::open(&there.0)
                .and_then(|mut f| std::io::Read::read_exact(&mut f, &mut vec![0; warm]))
                .unwrap();
            let file = std::rc::Rc::new(File::open(&there.0).await.unwrap());
            let parts: Vec<_> = (0..8)
                .map(|part| {
                    let file = file.clone();
                    spawn(async move {
                        let (mut position, end) = (part * (LEN / 8), (part + 1) * (LEN / 8));
                        let mut buf = vec![0; 1 + part * 50_000];
                        if part == 0 {
                            buf.resize(4000, 0);
                        }
                        while position < end {
                            let n = file.read_at(&mut buf, position as u64).await.unwrap();
                            assert!(n > 0, "the end of the file at {position} of {LEN}");
                            assert!(buf[..n] == at(position, n));
                            position += n;
                        }
                    })
                })
                .collect();
            for part in parts {
                part.await.unwrap();
            }
        }
    });
}

// Seen to fail when a call is not bounded, and when it is bounded as the queue's is.
#[test]
fn a_large_slice_is_filled_from_the_cache_up_to_its_bound_and_not_a_byte_beyond() {
    run_on_each(|| async {
        let there = Temporary::file(3 * MOST);
        let promised = promised(&there.0);
        let file = File::open(&there.0).await.unwrap();
        for len in [QUEUED - 1, QUEUED, QUEUED + 1, MOST - 1, MOST, MOST + 1, 3 * MOST] {
            let mut buf = vec![0xee; len];
            let n = file.read_at(&mut buf, 7).await.unwrap();
            assert_eq!(n, len.min(if promised { MOST } else { QUEUED }));
            assert!(buf[..n] == at(7, n));
            assert!(buf[n..].iter().all(|&byte| byte == 0xee));
        }
    });
}

// Seen to fail when 0 is taken for "not cached, and never will be".
#[test]
fn the_end_is_the_end_until_the_file_grows() {
    run_on_each(|| async {
        let there = Temporary::name();
        let file = File::create(&there.0).await.unwrap();
        let mut buf = [0; 4096];
        let mut len = 0;
        for round in 0..200 {
            assert_eq!(file.read_at(&mut buf, len as u64).await.unwrap(), 0, "round {round}");
            assert_eq!(file.read_at(&mut buf, len as u64 + 100_000).await.unwrap(), 0);
            assert_eq!(file.read_at(&mut [], 0).await.unwrap(), 0);
            file.write_all_at(pattern(len, 100), len as u64).await.unwrap();
            let n = file.read_at(&mut buf, len as u64).await.unwrap();
            assert_eq!(&buf[..n], pattern(len, 100), "round {round}");
            len += 100;
        }
        if promised(&there.0) {
            let before = metrics();
            file.read_at(&mut buf, 0).await.unwrap();
            file.read_at(&mut buf, 0).await.unwrap();
            assert!(since(before).0 > 0, "it is never tried again");
        }
    });
}

// Seen to fail when a file that refuses is asked again, and when a miss is taken for the end of the file.
#[test]
fn what_is_no_file_on_a_disk_reads_as_it_always_did() {
    run_on_each(|| async {
        let mut buf = [1; 4096];
        let null = File::open("/dev/null").await.unwrap();
        let directory = File::open("/").await.unwrap();
        let version = File::open("/proc/version").await.unwrap();
        let expected = std::fs::read("/proc/version").unwrap();
        for _ in 0..3 {
            assert_eq!(null.read_at(&mut buf, 0).await.unwrap(), 0);
            let error = directory.read_at(&mut buf, 0).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
            let n = version.read_at(&mut buf, 3).await.unwrap();
            assert_eq!(buf[..n], expected[3..]);
        }
        // A pipe has no positions: its bytes come in order, each of them once.
        let fifo = Temporary::name();
        let name = std::ffi::CString::new(fifo.0.as_os_str().as_bytes()).unwrap();
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let path = fifo.0.clone();
        let writer = std::thread::spawn(move || {
            let mut pipe = std::fs::File::options().write(true).open(path).unwrap();
            std::io::Write::write_all(&mut pipe, pattern(0, 100_000)).unwrap();
        });
        let pipe = File::open(&fifo.0).await.unwrap();
        let before = metrics().direct_calls;
        let mut position = 0;
        while position < 100_000 {
            match pipe.read_at(&mut buf, 5).await.unwrap() {
                // On io_uring it may be open before its writer is.
                0 => assert_eq!(position, 0, "the end comes early"),
                n => {
                    assert_eq!(buf[..n], *pattern(position, n));
                    position += n;
                }
            }
        }
        until(|| writer.is_finished()).await;
        assert_eq!(pipe.read_at(&mut buf, 5).await.unwrap(), 0);
        assert!(metrics().direct_calls - before <= 1);
    });
}

thread_local! {
    static FILE: RefCell<Option<File>> = const { RefCell::new(None) };
    static SAID: RefCell<Vec<std::io::Error>> = const { RefCell::new(Vec::new()) };
}

/// Wakes by a read.
struct Reads;

impl Wake for Reads {
    fn wake(self: Arc<Self>) {
        let read = FILE.with_borrow(|file| {
            let mut buf = [0; 8];
            poll_once(&mut Box::pin(file.as_ref().unwrap().read_at(&mut buf, 0)))
        });
        let Poll::Ready(Err(error)) = read else { panic!("it read at the end: {read:?}") };
        SAID.with_borrow_mut(|said| said.push(error));
    }
}

// Seen to fail when `read_at` does not call `Core::may_begin`, and when that does not ask whether the end has begun.
#[test]
fn a_waker_that_reads_while_its_runtime_ends_hears_that_it_has_ended() {
    on_each_backend(|builder| {
        let mut runtime = build(builder);
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut waits = runtime.block_on(async {
            FILE.set(Some(File::open("/proc/self/exe").await.unwrap()));
            let ready = Readiness::new(&ours).unwrap();
            let mut waits = Box::pin(async move { ready.readable().await });
            let waker = Waker::from(Arc::new(Reads));
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            waits
        });
        drop(runtime);
        let said = SAID.take();
        assert_eq!(said.len(), 1, "it was not woken");
        assert!(said[0].to_string().contains("has ended"), "{}", said[0]);
        assert!(matches!(poll_once(&mut waits), Poll::Ready(Err(_))));
        FILE.take();
    });
}

#[cfg(ringloop_test)]
mod refused {
    use ringloop::testing::refuse_reads;

    use super::*;

    /// Whether the next read is tried at once; it comes right in any case.
    async fn tried(file: &File) -> bool {
        let before = metrics();
        let mut buf = [0; 100];
        assert_eq!(file.read_at(&mut buf, 9).await.unwrap(), 100);
        assert_eq!(buf, pattern(9, 100));
        let (calls, completions) = since(before);
        assert!(calls <= 1 && completions <= 1);
        calls == 1
    }

    // Seen to fail when the number of skipped reads does not grow, has no bound, or is not set back by a hit.
    #[test]
    fn reads_that_find_nothing_are_tried_ever_more_seldom() {
        run_on_each(|| async {
            let there = Temporary::file(1000);
            // As older kernels say it, and as all others do.
            for errno in [0, libc::EAGAIN] {
                let file = File::open(&there.0).await.unwrap();
                refuse_reads(&[errno; 20]);
                let mut distances = Vec::new();
                let mut last = 0;
                for i in 1..=400 {
                    if tried(&file).await {
                        distances.push(i - last);
                        last = i;
                    }
                }
                assert_eq!(distances, [1, 2, 3, 5, 9, 17, 33, 65, 65, 65, 65, 65]);
                refuse_reads(&[]);
                if promised(&there.0) {
                    while !tried(&file).await {}
                    assert!(tried(&file).await, "a hit makes up for all misses");
                    refuse_reads(&[errno]);
                    let next = [tried(&file).await, tried(&file).await, tried(&file).await];
                    assert_eq!(next, [true, false, true]);
                }
            }
        });
    }

    // Seen to fail when any error counts as a miss.
    #[test]
    fn a_file_that_refuses_is_not_asked_again_and_others_are() {
        run_on_each(|| async {
            let there = Temporary::file(1000);
            for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EIO, libc::EPERM] {
                let file = File::open(&there.0).await.unwrap();
                refuse_reads(&[errno]);
                assert!(tried(&file).await);
                for _ in 0..200 {
                    assert!(!tried(&file).await);
                }
                let other = File::open(&there.0).await.unwrap();
                assert!(tried(&other).await);
            }
        });
    }

    // Seen to fail when `perform::call` does not ask again.
    #[test]
    fn a_signal_that_comes_between_is_no_miss() {
        run_on_each(|| async {
            let there = Temporary::file(1000);
            let file = File::open(&there.0).await.unwrap();
            refuse_reads(&[libc::EINTR; 3]);
            assert!(tried(&file).await);
            assert_eq!(tried(&file).await, promised(&there.0));
        });
    }
}
