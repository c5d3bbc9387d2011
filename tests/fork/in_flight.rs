//! A fork in the middle: what was in flight goes on in the parent, and goes away in the child.

use std::any::Any;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use ringloop::fs::File;
use ringloop::net::{
    PipeReader, Readiness, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream,
};
use ringloop::task::yield_now;
use ringloop::time::{interval, sleep, timeout};
use ringloop::{Handle, spawn};

use crate::{Child, alone, builders, works};

/// Something in flight, and what must come of it.
type InFlight = Pin<Box<dyn Future<Output = ()>>>;

/// Operations of every kind, each polled once; with what makes them end, and gives what they need until
/// then.
async fn everything_in_flight(
    path: std::path::PathBuf,
) -> (Vec<InFlight>, impl FnOnce() -> (Box<dyn Any>, JoinHandle<()>)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let std_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = std_listener.local_addr().unwrap();
    let mut reader = TcpStream::connect(there).await.unwrap();
    let (mut to_reader, _) = std_listener.accept().unwrap();
    let mut writer = TcpStream::connect(there).await.unwrap();
    let (mut from_writer, _) = std_listener.accept().unwrap();
    let (pipe, mut pipe_end) = std::os::unix::net::UnixStream::pair().unwrap();
    let readiness = Readiness::new(&pipe).unwrap();
    let file = std::rc::Rc::new(File::create(&path).await.unwrap());
    let too = file.clone();
    let by_handle = Handle::current().unwrap().spawn(|| async { yield_now().await });
    let task = spawn(sleep(Duration::from_millis(1)));
    let mut ticks = interval(Duration::from_millis(1));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    to_udp.connect(udp.local_addr().unwrap()).unwrap();
    let (unix, to_unix) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let unix = UnixDatagram::from_std(unix).unwrap();
    let (pipe_reader, mut to_pipe_reader) = std::io::pipe().unwrap();
    let mut pipe_reader = PipeReader::from_std(pipe_reader).unwrap();
    let (from_pipe_writer, mut pipe_writer) = ringloop::net::pipe().unwrap();
    let (mut from_pipe_writer, _) = from_pipe_writer.into_std().await.unwrap();
    let all: Vec<InFlight> = vec![
        Box::pin(async move {
            let mut buf = [0; 8];
            let n = timeout(Duration::from_secs(60), reader.read(&mut buf)).await.unwrap().unwrap();
            assert_eq!(&buf[..n], b"parent");
        }),
        Box::pin(async move { assert_eq!(udp.recv_chunk().await.unwrap()[..], *b"parent") }),
        Box::pin(async move { assert_eq!(unix.recv_chunk().await.unwrap().0[..], *b"parent") }),
        Box::pin(async move {
            assert_eq!(pipe_reader.read_chunk().await.unwrap().unwrap()[..], *b"parent");
        }),
        // More than a pipe takes.
        Box::pin(async move {
            pipe_writer.write_all(&[3; 100_000]).await.unwrap();
            pipe_writer.flush().await.unwrap();
        }),
        Box::pin(async move { writer.write_all(&[7; 16 << 20]).await.unwrap() }),
        Box::pin(async move { drop(listener.accept().await.unwrap()) }),
        Box::pin(async move { drop(TcpStream::connect(there).await.unwrap()) }),
        Box::pin(async move {
            drop(TcpStream::connect(("localhost", there.port())).await.unwrap());
        }),
        Box::pin(async move { readiness.readable().await.unwrap() }),
        Box::pin(async move { file.write_all_at(&[5; 150_000], 0).await.unwrap() }),
        Box::pin(async move { too.sync_all().await.unwrap() }),
        Box::pin(async move { drop(File::open("/proc/self/exe").await.unwrap()) }),
        Box::pin(sleep(Duration::from_millis(20))),
        Box::pin(async move { assert!(ticks.tick().await < ticks.tick().await) }),
        Box::pin(async move { by_handle.await.unwrap() }),
        Box::pin(async move { task.await.unwrap() }),
    ];
    let mut pending = Vec::new();
    for mut one in all {
        // On a slow machine a short one has ended by now.
        if std::future::poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await {
            pending.push(one);
        }
    }
    let events = move || {
        to_reader.write_all(b"parent").unwrap();
        to_udp.send(b"parent").unwrap();
        to_unix.send(b"parent").unwrap();
        to_pipe_reader.write_all(b"parent").unwrap();
        let pipe_peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            from_pipe_writer.read_to_end(&mut all).unwrap();
            assert!(all == [3; 100_000], "{} bytes", all.len());
        });
        pipe_end.write_all(b"x").unwrap();
        let dialled = std::net::TcpStream::connect(address).unwrap();
        std::thread::spawn(move || {
            let mut len = 0;
            let mut buf = vec![0; 1 << 16];
            while let Ok(n @ 1..) = from_writer.read(&mut buf) {
                assert!(buf[..n].iter().all(|&byte| byte == 7));
                len += n;
            }
            assert_eq!(len, 16 << 20);
        });
        let kept: Box<dyn Any> =
            Box::new((dialled, std_listener, pipe, to_reader, pipe_end, to_udp, to_unix));
        (kept, pipe_peer)
    };
    (pending, events)
}

#[test]
fn a_child_drops_operations_of_every_kind_and_its_parents_all_come_to_their_end() {
    let _alone = alone();
    let path = std::env::temp_dir().join(format!("ringloop-fork-{}", std::process::id()));
    for builder in builders() {
        for order in 0..3 {
            let mut runtime = Some(builder.build().unwrap());
            let in_flight = runtime.as_mut().unwrap().block_on(everything_in_flight(path.clone()));
            let (in_flight, events) = in_flight;
            let mut in_flight = Some(in_flight);
            Child::fork(|| {
                let mut all = in_flight.take().unwrap();
                if order == 0 {
                    all.reverse();
                }
                if order == 1 {
                    // They say what they may: an error, or nothing.
                    for one in &mut all {
                        let mut cx = Context::from_waker(Waker::noop());
                        let _ = catch_unwind(AssertUnwindSafe(|| one.as_mut().poll(&mut cx)));
                    }
                }
                if order == 2 {
                    drop(runtime.take());
                }
                drop(all);
                drop(runtime.take());
                works(&builder);
            })
            .end();
            let runtime = runtime.as_mut().unwrap();
            let (kept, pipe_peer) = events();
            runtime.block_on(async {
                for one in in_flight.take().unwrap() {
                    timeout(Duration::from_secs(20), one).await.expect("it does not hang");
                }
            });
            drop(kept);
            // The pipe is closed.
            runtime.block_on(async { sleep(Duration::from_millis(1)).await });
            assert_eq!(std::fs::read(&path).unwrap(), [5; 150_000]);
            assert_eq!(runtime.metrics().strays, 0);
            pipe_peer.join().expect("each byte came once");
        }
    }
    std::fs::remove_file(&path).unwrap();
}

// Seen to fail when `Core::cancel` and `Core::submit` did not ask whether the process is a child.
#[test]
fn a_thousand_forks_in_the_middle_of_sends_and_receives_lose_and_repeat_no_byte() {
    let _alone = alone();
    let builders = builders();
    for builder in &builders {
        let mut runtime = Some(builder.build().unwrap());
        let done = runtime.as_mut().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut there = TcpStream::connect(address).await.unwrap();
            let (mut here, _) = listener.accept().await.unwrap();
            drop(spawn(async move {
                for number in 0u64.. {
                    if there.write_all(&number.to_ne_bytes()).await.is_err() {
                        return;
                    }
                    if number % 3 == 0 {
                        yield_now().await;
                    }
                }
            }));
            let stop = std::rc::Rc::new(std::cell::Cell::new(false));
            let stopped = stop.clone();
            let reader = spawn(async move {
                let (mut wanted, mut parts) = (0u64, Vec::new());
                let mut buf = [0; 37];
                while !stopped.get() || wanted == 0 {
                    let n = here.read(&mut buf).await.unwrap();
                    parts.extend_from_slice(&buf[..n]);
                    let whole = parts.len() / 8 * 8;
                    for number in parts.drain(..whole).collect::<Vec<_>>().chunks(8) {
                        assert_eq!(u64::from_ne_bytes(number.try_into().unwrap()), wanted);
                        wanted += 1;
                    }
                }
                wanted
            });
            Some((stop, reader))
        });
        let (stop, reader) = done.unwrap();
        for fork in 0..1000 / builders.len() {
            runtime.as_mut().unwrap().block_on(async {
                for _ in 0..fork % 4 {
                    yield_now().await;
                }
            });
            // With its tasks, their streams, and what is in flight; or all of it left as it is.
            Child::fork(|| {
                if fork % 2 == 0 {
                    drop(runtime.take());
                }
            })
            .end();
        }
        stop.set(true);
        assert!(runtime.as_mut().unwrap().block_on(reader).unwrap() > 0);
        assert_eq!(runtime.as_mut().unwrap().metrics().strays, 0);
    }
}

/// A waker that panics when its last clone is dropped.
struct LastWord;

impl Wake for LastWord {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LastWord {
    fn drop(&mut self) {
        panic!("a waker's last word");
    }
}

// Seen to fail when `Core::close` dropped its copies in one go: the second panic aborted.
#[test]
fn wakers_that_panic_in_a_child_are_dropped_each_by_itself() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = Some(builder.build().unwrap());
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        runtime.as_mut().unwrap().block_on(async {
            let readiness = Readiness::new(&ours).unwrap();
            for _ in 0..2 {
                let waker = Waker::from(Arc::new(LastWord));
                let mut wait = Box::pin(readiness.readable());
                assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                // The runtime has the last clone.
                std::mem::forget(wait);
            }
        });
        Child::fork(|| drop(runtime.take())).end();
        works(&builder);
    }
}

// Seen to fail when the file was removed wherever its listener was dropped.
#[test]
fn a_childs_copy_of_a_listener_leaves_the_file_to_its_parent() {
    let _alone = alone();
    for builder in builders() {
        let path = std::env::temp_dir().join(format!("ringloop-fork-{}", std::process::id()));
        let mut runtime = builder.build().unwrap();
        let mut listener = Some(runtime.block_on(UnixListener::bind(&path)).unwrap());
        let child = Child::fork(|| {
            listener.as_ref().unwrap().close();
            drop(listener.take());
            assert!(path.exists());
        });
        child.end();
        runtime.block_on(async {
            let dialled = UnixStream::connect(&path).await.unwrap();
            listener.as_ref().unwrap().accept().await.unwrap();
            drop(dialled);
        });
        drop(listener);
        assert!(!path.exists());
    }
}
