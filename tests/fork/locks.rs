//! Threads that the child has no copy of: what they had locked at the fork stays locked there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::{Builder, Handle, spawn};

use crate::{Child, alone, builders, poll_once, works};

/// Letters that wait, at most.
const LETTERS: usize = 20_000;

/// Threads that lock what they share with a runtime, all the time; they end when it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Bytes that one of them drops.
    bytes: Option<SyncSender<Bytes>>,
}

impl Busy {
    fn new(handle: Handle, builder: Builder) -> Self {
        let (bytes, dropped) = sync_channel::<Bytes>(64);
        let mut this = Self { stop: Arc::default(), threads: Vec::new(), bytes: Some(bytes) };
        // What carries a result to another thread.
        let waits = handle.spawn(std::future::pending::<()>);
        this.start(move || assert!(!waits.is_finished()));
        // The mailbox.
        let posted = Arc::new(AtomicUsize::new(0));
        this.start(move || {
            let left = posted.clone();
            if posted.load(Ordering::Relaxed) > LETTERS {
                return thread::yield_now();
            }
            posted.fetch_add(1, Ordering::Relaxed);
            let _ = handle.call_soon(move || {
                left.fetch_sub(1, Ordering::Relaxed);
            });
        });
        // The table of runtimes.
        this.start(move || drop(builder.build().unwrap()));
        // The pool.
        this.start(move || drop(dropped.recv()));
        this
    }

    fn start(&mut self, mut again: impl FnMut() + Send + 'static) {
        let stop = self.stop.clone();
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                again();
            }
        }));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bytes = None;
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking());
        }
    }
}

// Seen to fail when `sys::sync::Mutex` waited in a child as well: the carried result hangs in each run, the
// workers' queue in some. Each lock by itself is the unit test's, beside it.
#[test]
fn a_child_waits_for_no_lock_that_a_thread_of_its_parents_had() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = Some(builder.build().unwrap());
        let busy = Busy::new(runtime.as_ref().unwrap().handle(), builder.clone());
        // Few: this runs in every suite of the check.
        for _ in 0..3 {
            let handle = runtime.as_ref().unwrap().handle();
            let kept = runtime.as_mut().unwrap().block_on(async {
                yield_now().await;
                // On epoll, its workers lock their queue while they are at these.
                for _ in 0..100 {
                    drop(spawn(async { drop(File::open("/proc/self/exe").await.unwrap()) }));
                }
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (mut here, _) = listener.accept().await.unwrap();
                let mut kept = None;
                for _ in 0..8 {
                    there.write_all(&[1; 10_000]).await.unwrap();
                    let chunk = here.read_chunk().await.unwrap().unwrap().into_bytes();
                    let _ = busy.bytes.as_ref().unwrap().try_send(chunk.clone());
                    kept = Some(chunk);
                }
                kept
            });
            Child::fork(|| {
                let late = handle.spawn(|| async {});
                drop(kept);
                drop(runtime.take());
                assert!(late.join().unwrap_err().is_cancelled());
                works(&builder);
            })
            .end();
        }
        drop(busy);
    }
}

#[test]
fn a_result_that_was_waited_for_before_the_fork_is_cancelled_in_the_child() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let (mut joined, mut awaited) =
            [(); 2].map(|()| Some(runtime.handle().spawn(|| async { 7 }))).into();
        assert!(poll_once(awaited.as_mut().unwrap()).is_pending());
        Child::fork(|| {
            let awaited = awaited.take().unwrap();
            assert!(awaited.is_finished(), "nobody will send it");
            let mut own = builder.build().unwrap();
            assert!(own.block_on(awaited).unwrap_err().is_cancelled());
            assert!(joined.take().unwrap().join().unwrap_err().is_cancelled());
        })
        .end();
        assert_eq!(runtime.block_on(awaited.take().unwrap()).unwrap(), 7);
        assert_eq!(runtime.block_on(joined.take().unwrap()).unwrap(), 7);
    }
}
