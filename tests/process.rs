//! What only a whole process shows: its memory and its descriptors. One test at a time.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::{BackendChoice, Builder, Runtime, metrics, spawn};

/// Tests of one binary run side by side; these would see each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// A builder for each backend that there is here.
fn builders() -> Vec<Builder> {
    let choices = [BackendChoice::Uring, BackendChoice::Epoll];
    let builders = choices.map(|choice| Builder::new().backend(choice).clone());
    builders.into_iter().filter(|builder| builder.build().is_ok()).collect()
}

/// Bytes of this process that are in memory.
fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn ten_million_foreign_wakes_of_a_sleeper_cost_no_memory() {
    const WAKES: u64 = 10_000_000;
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        runtime.block_on(async {
            let (send, receive) = mpsc::channel::<Waker>();
            let (answer, grown) = mpsc::channel::<i64>();
            let done = Arc::new(AtomicBool::new(false));
            let last = done.clone();
            let other = thread::spawn(move || {
                let waker = receive.recv().unwrap();
                waker.wake_by_ref();
                // First while the loop stands still and collects nothing, then while it runs.
                for _ in 0..2 {
                    let before = resident();
                    for _ in 0..WAKES / 2 {
                        waker.wake_by_ref();
                        drop(waker.clone());
                    }
                    answer.send(resident() - before).unwrap();
                }
                last.store(true, SeqCst);
                waker.wake();
            });
            let (mut grew, mut polls) = (0, 0u64);
            let sleeper = spawn(poll_fn(move |cx| {
                polls += 1;
                if polls == 1 {
                    send.send(cx.waker().clone()).unwrap();
                    grew = grown.recv().unwrap();
                }
                if !done.load(SeqCst) {
                    return Poll::Pending;
                }
                Poll::Ready((grew.max(grown.recv().unwrap()), polls))
            }));
            let (grew, polls) = sleeper.await.unwrap();
            assert!(polls < WAKES / 2, "wakes coalesce: {polls} polls");
            assert!(grew < 1 << 20, "{WAKES} wakes took {grew} bytes");
            other.join().unwrap();
        });
    }
}

#[test]
fn a_million_spawns_use_the_same_slots() {
    let _alone = alone();
    for builder in builders() {
        builder.build().unwrap().block_on(async {
            let mut before = 0;
            for batch in 0..1000u32 {
                let tasks: Vec<_> = (0..1000).map(|i| spawn(async move { batch + i })).collect();
                for (i, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.unwrap(), batch + i as u32);
                }
                assert_eq!(metrics().tasks_alive, 0);
                if batch == 10 {
                    before = resident();
                }
            }
            assert_eq!(metrics().tasks_spawned, 1_000_000);
            let grown = resident() - before;
            assert!(grown < 1 << 20, "it grew by {grown} bytes");
        });
    }
}

/// Uses a runtime a little: a task, a timer, a connection with something in flight.
fn use_it(runtime: &mut Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut there = TcpStream::connect(address).await.unwrap();
        let (mut here, _) = listener.accept().await.unwrap();
        there.write_all(b"hello").await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(here.read(&mut buf).await.unwrap(), 5);
        // Left to the end of the runtime: an armed accept, an armed receive.
        drop(spawn(async move {
            let _there = there;
            here.read(&mut [0; 8]).await
        }));
        drop(spawn(async move { listener.accept().await.map(drop) }));
        ringloop::time::sleep(Duration::from_micros(100)).await;
    });
}

/// Waits until the process has no more than `wanted` descriptors and mappings: a ring is taken down
/// by the kernel after its last descriptor is closed.
fn settle(descriptors_before: usize, mappings_before: usize) {
    assert_eq!(descriptors(), descriptors_before, "descriptors are left open");
    // Threads that ended keep their stacks for the next ones.
    let grown = mappings() as i64 - mappings_before as i64;
    assert!(grown < 40, "{grown} mappings are left");
}

#[test]
fn three_hundred_runtimes_in_a_row_leave_nothing_behind() {
    let _alone = alone();
    for builder in builders() {
        use_it(&mut builder.build().unwrap());
        let before = (descriptors(), mappings());
        let memory = resident();
        for i in 0..300 {
            let mut runtime = builder.build().unwrap_or_else(|e| panic!("runtime {i}: {e}"));
            use_it(&mut runtime);
        }
        settle(before.0, before.1);
        let grown = resident() - memory;
        assert!(grown < 8 << 20, "it grew by {grown} bytes");
    }
}

#[test]
fn twenty_runtimes_at_once_on_threads_leave_nothing_behind() {
    let _alone = alone();
    for builder in builders() {
        let round = |builder: &Builder| {
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    let builder = builder.clone();
                    thread::spawn(move || {
                        let mut runtime = builder.build().unwrap();
                        for _ in 0..5 {
                            use_it(&mut runtime);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        };
        round(&builder);
        let before = (descriptors(), mappings());
        round(&builder);
        settle(before.0, before.1);
    }
}

#[test]
fn a_runtime_that_cannot_get_a_descriptor_says_so_and_leaks_none() {
    let _alone = alone();
    let before = descriptors();
    // Every descriptor that the limit allows, but a few.
    let mut taken = Vec::new();
    let one = std::fs::File::open("/dev/null").unwrap();
    while let Ok(another) = one.as_fd().try_clone_to_owned() {
        taken.push(another);
        assert!(taken.len() < 1 << 20, "the limit of this machine is too high for the test");
    }
    for builder in [BackendChoice::Auto, BackendChoice::Uring, BackendChoice::Epoll] {
        let error = Builder::new().backend(builder).build().unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    drop(taken);
    drop(one);
    assert_eq!(descriptors(), before);
    for builder in builders() {
        use_it(&mut builder.build().unwrap());
    }
}
