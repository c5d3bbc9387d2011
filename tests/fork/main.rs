//! A forked child: nothing of its parent's runtimes works there, nothing breaks, and it may have
//! runtimes of its own.
#![expect(unsafe_code, reason = "fork(2), waitpid(2), _exit(2)")]

mod connections;
mod in_flight;
mod locks;

use std::future::pending;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringloop::fs::File;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::{Sleep, sleep};
use ringloop::{BackendChoice, Builder, Handle, JoinHandle, Lease, Runtime, spawn};

/// A child that has not ended after this many seconds is ended by SIGALRM, on a machine of usual speed.
const PATIENCE: u32 = 30;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

fn builders() -> Vec<Builder> {
    let choices = [BackendChoice::Uring, BackendChoice::Epoll];
    let builders = choices.map(|choice| Builder::new().backend(choice).clone());
    builders.into_iter().filter(|builder| builder.build().is_ok()).collect()
}

/// A child process, reaped by `end`.
struct Child(libc::pid_t);

impl Child {
    /// Forks. `body` runs in the child, which ends with it and comes back nowhere.
    fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child runs on a copy of this thread alone. Locks that other threads had are never
        // let go there: the tests run one at a time, glibc mends its own, and ours are the subject.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid > 0 {
            return Self(pid);
        }
        let slowness =
            std::env::var("RINGLOOP_TEST_SLOWNESS").map_or(1, |text| text.parse().unwrap());
        // SAFETY: alarm takes a number.
        unsafe { libc::alarm(PATIENCE * slowness) };
        let code = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 1 };
        // SAFETY: nothing of the parent's is run on the way out.
        unsafe { libc::_exit(code) }
    }

    /// Waits for it, and fails where it failed.
    fn end(self) {
        let mut status = 0;
        // SAFETY: `status` is a writable int, and the child is ours and not yet reaped.
        let pid = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(pid, self.0);
        assert_eq!(status, 0, "the child failed (its words are above) or was killed");
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future: Pin<Box<F>> = Box::pin(future);
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What a parent has when it forks.
struct World {
    here: TcpStream,
    there: TcpStream,
    listener: TcpListener,
    file: File,
    lease: Lease,
    sleep: Sleep,
    handle: Handle,
    task: JoinHandle<()>,
}

fn world(runtime: &mut Runtime) -> World {
    let handle = runtime.handle();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut here, _) = listener.accept().await.unwrap();
        there.write_all(b"before").await.unwrap();
        let lease = here.read_chunk().await.unwrap().unwrap();
        // In flight at the fork: a receive, an accept, a timer.
        assert!(poll_once(here.read(&mut [0; 8])).is_pending());
        assert!(poll_once(listener.accept()).is_pending());
        let task = spawn(pending::<()>());
        yield_now().await;
        let mut sleep = sleep(Duration::from_millis(200));
        assert!(poll_once(&mut sleep).is_pending());
        let file = File::open("/proc/self/exe").await.unwrap();
        World { here, there, listener, file, lease, sleep, handle, task }
    })
}

/// The parent's things, in the parent, afterwards.
fn goes_on(runtime: &mut Runtime, mut world: World) {
    runtime.block_on(async {
        world.there.write_all(b"after").await.unwrap();
        let mut buf = [0; 16];
        let n = world.here.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"after");
        assert_eq!(&world.lease[..], b"before");
        assert_eq!(world.file.read_at(&mut buf[..4], 0).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"\x7fELF");
        let address = world.listener.local_addr().unwrap();
        let dialled = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = world.listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), dialled.local_addr().unwrap());
        world.sleep.await;
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
    let answer = world.handle.spawn(|| async { 2 });
    runtime.block_on(async { assert_eq!(answer.await.unwrap(), 2) });
    assert_eq!(runtime.metrics().strays, 0);
}

fn refused<T: std::fmt::Debug>(what: &str, result: Poll<std::io::Result<T>>) {
    let Poll::Ready(Err(error)) = result else { panic!("{what} in a child: {result:?}") };
    let known = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotConnected);
    assert!(known, "{what}: {error:?}");
    assert!(error.to_string().contains("ringloop runtime"), "{what}: {error}");
}

/// Everything of the parent's is refused, or plain memory.
fn use_it(runtime: &mut Runtime, world: &mut World) {
    refused("read", poll_once(world.here.read(&mut [0; 8])));
    refused("read_chunk", poll_once(world.there.read_chunk()));
    refused("write_all", poll_once(world.there.write_all(b"from the child")));
    refused("read_at", poll_once(world.file.read_at(&mut [0; 8], 0)));
    refused("accept", poll_once(world.listener.accept()));
    refused("shutdown", poll_once(world.here.shutdown(std::net::Shutdown::Both)));
    refused("peer_addr", Poll::Ready(world.here.peer_addr()));
    assert_eq!(&world.lease[..], b"before");
    assert!(poll_once(&mut world.sleep).is_ready(), "it would wait for ever");
    let error = world.handle.call_soon(|| unreachable!()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(world.handle.spawn(|| async {}).join().unwrap_err().is_cancelled());
    world.task.cancel();
    assert!(world.task.is_finished());
    let Poll::Ready(Err(error)) = poll_once(&mut world.task) else {
        panic!("a task of the parent's")
    };
    assert!(error.is_cancelled());
    world.handle.stop();
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(yield_now())));
    let payload = panicked.unwrap_err();
    let sentence = payload.downcast_ref::<String>().unwrap();
    assert!(sentence.contains("forked") && sentence.contains("build a new runtime"), "{sentence}");
}

fn works(builder: &Builder) {
    let mut runtime = builder.build().unwrap();
    let world = world(&mut runtime);
    goes_on(&mut runtime, world);
}

#[test]
fn using_the_parents_runtime_in_a_child_is_refused_and_harms_nobody() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let mut world = world(&mut runtime);
        Child::fork(|| use_it(&mut runtime, &mut world)).end();
        goes_on(&mut runtime, world);
    }
}

#[test]
fn dropping_the_parents_runtime_in_a_child_closes_its_copies_and_harms_nobody() {
    let _alone = alone();
    for builder in builders() {
        let runtime = Some(builder.build().unwrap());
        let mut runtime = runtime;
        let mut all = Some(world(runtime.as_mut().unwrap()));
        for runtime_first in [false, true] {
            Child::fork(|| {
                let before = descriptors();
                let start = std::time::Instant::now();
                if runtime_first {
                    drop(runtime.take());
                    drop(all.take());
                } else {
                    drop(all.take());
                    drop(runtime.take());
                }
                // Two streams, the listener and the file; the ring or the epoll; the bell has other holders.
                assert!(descriptors() <= before - 5, "{} of {before} are open", descriptors());
                assert!(start.elapsed() < Duration::from_secs(2), "it waited for the kernel");
                works(&builder);
            })
            .end();
        }
        goes_on(runtime.as_mut().unwrap(), all.take().unwrap());
    }
}

#[test]
fn a_child_builds_runtimes_of_its_own_beside_its_copy() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let mut kept = Some((builder.build().unwrap(), world(&mut runtime)));
        Child::fork(|| {
            // So many that their maps fill the holes where the parent's were; dropping the copy
            // must leave them alone.
            let mut own: Vec<_> = (0..20)
                .map(|_| {
                    let mut own = builder.build().unwrap();
                    let world = world(&mut own);
                    (own, world)
                })
                .collect();
            drop(kept.take());
            Child::fork(|| {
                works(&builder);
                let refused = catch_unwind(AssertUnwindSafe(|| own[0].0.block_on(yield_now())));
                assert!(refused.is_err(), "a grandchild took its parent's runtime for its own");
            })
            .end();
            for (mut own, world) in own {
                goes_on(&mut own, world);
            }
        })
        .end();
        let (_other, world) = kept.take().unwrap();
        goes_on(&mut runtime, world);
    }
}

#[test]
fn a_child_forked_inside_a_task_may_run_a_runtime_of_its_own() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let mut world = Some(world(&mut runtime));
        let inner = builder.clone();
        runtime.block_on(async {
            let task = spawn(async move {
                let child = Child::fork(|| works(&inner));
                yield_now().await;
                child.end();
            });
            task.await.unwrap();
        });
        goes_on(&mut runtime, world.take().unwrap());
    }
}

#[test]
fn a_stream_dropped_in_a_child_does_not_end_the_parents_connection() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let mut kept = Some(world(&mut runtime));
        Child::fork(|| {
            let world = kept.take().unwrap();
            let before = descriptors();
            let (reader, writer) = world.here.into_split();
            drop(writer);
            drop(reader);
            world.there.abort();
            assert!(descriptors() <= before - 2, "a copy is still open");
        })
        .end();
        goes_on(&mut runtime, kept.take().unwrap());
    }
}
