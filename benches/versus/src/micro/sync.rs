//! Mutexes, semaphores and channels between tasks of one thread.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use local_channel::mpsc;

use super::clock::batches;
use super::primitives::{Channel, Lock, Once, Permits};
use super::runtime::Runtime;

/// Locks and unlocks a mutex that nobody else wants.
pub(super) async fn mutex_free<R: Runtime>(_runtime: R, time: Duration) -> f64 {
    const LOCKS: usize = 100_000;
    let mutex = R::Mutex::new();
    let mut locked = 0;
    let batch = async || {
        for _ in 0..LOCKS {
            *black_box(&mutex).lock().await += 1;
        }
        locked += LOCKS;
        assert_eq!(*mutex.lock().await, locked);
    };
    batches(time, LOCKS, batch).await.wall
}

/// Two tasks hand a mutex to each other; each has to wait for it every time.
///
/// Whoever holds it gets in line for the next time before it unlocks, so that the other one is
/// next. In a loop of lock, yield and unlock most would be the yield.
pub(super) async fn mutex_handed<R: Runtime>(runtime: R, time: Duration) -> f64 {
    const TASKS: usize = 2;
    const EACH: usize = 10_000;
    let mutex = Rc::new(R::Mutex::new());
    let mut locked = 0;
    let batch = async || {
        // Nobody begins before both are in line.
        let guard = mutex.lock().await;
        let (sender, mut in_line) = mpsc::channel();
        let tasks = [(); TASKS].map(|()| {
            let (mutex, sender) = (mutex.clone(), sender.clone());
            runtime.spawn(async move {
                assert!(sender.send(()).is_ok(), "it is waited for");
                let mut guard = mutex.lock().await;
                let (mut handed, mut left) = (0, usize::MAX);
                for _ in 1..EACH {
                    handed += usize::from(*guard != left);
                    *guard += 1;
                    left = *guard;
                    let mut held = Some(guard);
                    let mut next = pin!(mutex.lock());
                    guard = poll_fn(|cx| {
                        let poll = next.as_mut().poll(cx);
                        match held.take() {
                            Some(_) if poll.is_pending() => Poll::Pending,
                            Some(_) => panic!("two hold the mutex"),
                            None => poll,
                        }
                    })
                    .await;
                }
                *guard += 1;
                handed
            })
        });
        for _ in 0..TASKS {
            in_line.recv().await;
        }
        drop(guard);
        for task in tasks {
            let handed = task.await;
            // Less than all: a budget may keep a task out of the line once in a while.
            assert!(handed > EACH * 9 / 10, "the other one had it only {handed} times");
        }
        locked += TASKS * EACH;
        assert_eq!(*mutex.lock().await, locked);
    };
    batches(time, TASKS * EACH, batch).await.wall
}

/// Takes one of two permits and gives it back.
pub(super) async fn semaphore<R: Runtime>(_runtime: R, time: Duration) -> f64 {
    const TAKEN: usize = 100_000;
    let semaphore = R::Semaphore::new(2);
    let batch = async || {
        for _ in 0..TAKEN {
            drop(black_box(&semaphore).acquire().await);
        }
    };
    batches(time, TAKEN, batch).await.wall
}

/// Asks another task, with a oneshot in the request for the answer.
///
/// The requests go over the channel of [`ping_pong`](super::tasks::ping_pong), the same for all.
pub(super) async fn oneshot<R: Runtime>(runtime: R, time: Duration) -> f64 {
    const REQUESTS: usize = 10_000;
    let (to_peer, mut from_us) = mpsc::channel();
    let peer = runtime.spawn(async move {
        while let Some((number, answer)) = from_us.recv().await {
            R::Oneshot::send(answer, number + 1);
        }
    });
    let batch = async || {
        for number in 0..REQUESTS {
            let (answer, answered) = R::Oneshot::pair();
            let sent = to_peer.send((black_box(number), answer));
            assert!(sent.is_ok(), "the peer lives");
            assert_eq!(R::Oneshot::receive(answered).await, number + 1);
        }
    };
    let cost = batches(time, REQUESTS, batch).await;
    drop(to_peer);
    peer.await;
    cost.wall
}

/// Values that wait before a sender does.
const CAPACITY: usize = 16;

/// As [`ping_pong`](super::tasks::ping_pong), over two of the runtime's own channels.
pub(super) async fn mpsc_ping_pong<R: Runtime>(runtime: R, time: Duration) -> f64 {
    const ROUNDS: usize = 10_000;
    const END: usize = usize::MAX;
    let (to_peer, mut from_us) = R::Mpsc::bounded(CAPACITY);
    let (to_us, mut from_peer) = R::Mpsc::bounded(CAPACITY);
    let peer = runtime.spawn(async move {
        loop {
            match R::Mpsc::receive(&mut from_us).await {
                END => break,
                number => R::Mpsc::send(&to_us, number + 1).await,
            }
        }
    });
    let batch = async || {
        for number in 0..ROUNDS {
            R::Mpsc::send(&to_peer, black_box(number)).await;
            assert_eq!(R::Mpsc::receive(&mut from_peer).await, number + 1);
        }
    };
    let cost = batches(time, ROUNDS, batch).await;
    R::Mpsc::send(&to_peer, END).await;
    peer.await;
    cost.wall
}

/// One task fills a queue as fast as another empties it.
pub(super) async fn queue<R: Runtime>(runtime: R, time: Duration) -> f64 {
    const ITEMS: usize = 100_000;
    let batch = async || {
        let (sender, mut receiver) = R::Queue::bounded(CAPACITY);
        let producer = runtime.spawn(async move {
            for number in 0..ITEMS {
                R::Queue::send(&sender, black_box(number)).await;
            }
        });
        for number in 0..ITEMS {
            assert_eq!(R::Queue::receive(&mut receiver).await, number);
        }
        producer.await;
    };
    batches(time, ITEMS, batch).await.wall
}
