//! Threads that the child has no copy of: what they had locked at the fork stays locked there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringloop::fs::File;
use ringloop::task::{RemoteJoinHandle, yield_now};
use ringloop::{Builder, Handle, spawn};

use crate::{Child, alone, builders, works};

/// Threads that lock what they share with the runtime, all the time.
fn busy(
    stop: &Arc<AtomicBool>,
    handle: Handle,
    builder: Builder,
) -> Vec<std::thread::JoinHandle<()>> {
    let until = |stop: &Arc<AtomicBool>, mut again: Box<dyn FnMut() + Send>| {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                again();
            }
        })
    };
    let (posted, stopped) = (Arc::new(()), stop.clone());
    let waits: RemoteJoinHandle<()> = handle.spawn(std::future::pending::<()>);
    vec![
        // The mailbox, a hundred letters at a time.
        until(
            stop,
            Box::new(move || {
                let left = posted.clone();
                let _ = handle.call_soon(move || drop(left));
                while Arc::strong_count(&posted) > 100 && !stopped.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            }),
        ),
        // What carries a result to another thread.
        until(stop, Box::new(move || assert!(!waits.is_finished()))),
        // The table of runtimes.
        until(stop, Box::new(move || drop(builder.build().unwrap()))),
    ]
}

// Seen to fail when `sys::sync::Mutex` waited in a child as well.
#[test]
fn a_child_waits_for_no_lock_that_a_thread_of_its_parents_had() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = Some(builder.build().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let threads = busy(&stop, runtime.as_ref().unwrap().handle(), builder.clone());
        for _ in 0..10 {
            let handle = runtime.as_ref().unwrap().handle();
            runtime.as_mut().unwrap().block_on(async {
                yield_now().await;
                // On epoll, its workers lock their queue while they are at these.
                for _ in 0..100 {
                    drop(spawn(async { drop(File::open("/proc/self/exe").await.unwrap()) }));
                }
                yield_now().await;
            });
            Child::fork(|| {
                let late = handle.spawn(|| async {});
                drop(runtime.take());
                assert!(late.join().unwrap_err().is_cancelled());
                works(&builder);
            })
            .end();
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_result_that_was_waited_for_before_the_fork_is_cancelled_in_the_child() {
    let _alone = alone();
    for builder in builders() {
        let mut runtime = builder.build().unwrap();
        let waits = runtime.handle().spawn(|| async { 7 });
        let mut waits = Some(waits);
        Child::fork(|| {
            let waits = waits.take().unwrap();
            assert!(waits.is_finished(), "nobody will send it");
            assert!(waits.join().unwrap_err().is_cancelled());
        })
        .end();
        assert_eq!(runtime.block_on(waits.take().unwrap()).unwrap(), 7);
    }
}
