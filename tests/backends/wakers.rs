//! Wakers on foreign threads, under foreign combinators, and after their runtime's life.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::task::yield_now;
use ringloop::time::sleep;
use ringloop::{metrics, spawn};

use crate::support::{OnDrop, build, on_each_backend, run_on_each};

/// Hands out its task's waker and is ready once `flag` is set.
fn until(flag: Arc<AtomicBool>, to: mpsc::Sender<Waker>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        let _ = to.send(cx.waker().clone());
        if flag.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    })
}

#[test]
fn no_wake_from_another_thread_is_lost() {
    run_on_each(|| async {
        // A ball that goes back and forth: one lost wake and it hangs.
        let ball = Arc::new(AtomicU64::new(0));
        let (send, wakers) = mpsc::channel::<Waker>();
        let other = {
            let ball = ball.clone();
            thread::spawn(move || {
                while let Ok(waker) = wakers.recv() {
                    ball.fetch_add(1, SeqCst);
                    waker.wake();
                }
            })
        };
        for wanted in 1..=20_000 {
            let mut sent = false;
            poll_fn(|cx| {
                if ball.load(SeqCst) == wanted {
                    return Poll::Ready(());
                }
                if !std::mem::replace(&mut sent, true) {
                    send.send(cx.waker().clone()).unwrap();
                }
                Poll::Pending
            })
            .await;
        }
        drop(send);
        other.join().unwrap();
    });
}

#[test]
fn many_threads_wake_many_tasks() {
    const TASKS: usize = 200;
    run_on_each(|| async {
        let (send, receive) = mpsc::channel();
        let flags: Vec<_> = (0..TASKS).map(|_| Arc::new(AtomicBool::new(false))).collect();
        let tasks: Vec<_> =
            flags.iter().map(|flag| spawn(until(flag.clone(), send.clone()))).collect();
        yield_now().await;
        let wakers: Vec<_> = receive.try_iter().collect();
        assert_eq!(wakers.len(), TASKS);
        let pairs: Vec<_> = wakers.into_iter().zip(flags).collect();
        let threads: Vec<_> = pairs
            .chunks(50)
            .map(|chunk| {
                let chunk = chunk.to_vec();
                thread::spawn(move || {
                    for (waker, flag) in chunk {
                        waker.wake_by_ref();
                        flag.store(true, SeqCst);
                        let clone = waker.clone();
                        clone.wake();
                        drop(waker);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_waker_that_outlives_its_task_wakes_nobody_wrongly() {
    run_on_each(|| async {
        let (send, receive) = mpsc::channel();
        let flag = Arc::new(AtomicBool::new(true));
        spawn(until(flag, send)).await.unwrap();
        let stale = receive.recv().unwrap();
        // The slot's next task.
        let polls = Rc::new(Cell::new(0));
        let counting = polls.clone();
        let (send, receive) = mpsc::channel();
        let sleeper = spawn(poll_fn(move |cx| {
            counting.set(counting.get() + 1);
            let _ = send.send(cx.waker().clone());
            if counting.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        yield_now().await;
        let fresh = receive.recv().unwrap();
        for _ in 0..10 {
            stale.wake_by_ref();
            yield_now().await;
        }
        assert_eq!(polls.get(), 1, "on its own thread a stale address finds another generation");
        let foreign = stale.clone();
        thread::spawn(move || foreign.wake()).join().unwrap();
        sleep(Duration::from_millis(1)).await;
        assert!(polls.get() <= 2, "a foreign stale wake is spurious at the worst");
        // And its own wakes still count.
        while polls.get() < 3 {
            let before = polls.get();
            fresh.wake_by_ref();
            yield_now().await;
            yield_now().await;
            assert_eq!(polls.get(), before + 1, "a wake was lost to a stale one");
        }
        sleeper.await.unwrap();
    });
}

thread_local! {
    static LAST: Keeper = const { Keeper(RefCell::new(Vec::new())) };
}

/// Wakes what it holds when its thread ends.
struct Keeper(RefCell<Vec<Waker>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        for waker in self.0.take() {
            waker.wake_by_ref();
            drop(waker.clone());
            waker.wake();
        }
    }
}

#[test]
fn wakers_work_in_thread_local_destructors_and_after_the_end() {
    on_each_backend(|builder| {
        let builder = builder.clone();
        let survivors = thread::spawn(move || {
            // First, so that its destructor runs after those of the runtime.
            LAST.with(|last| last.0.borrow_mut().clear());
            let mut runtime = build(&builder);
            let (send, receive) = mpsc::channel();
            let flag = Arc::new(AtomicBool::new(false));
            runtime.block_on(async {
                // The main future is woken out of another thread's destructors.
                let woken = {
                    let (flag, send) = (flag.clone(), send.clone());
                    let mut task = spawn(until(flag.clone(), send));
                    yield_now().await;
                    let waker = receive.recv().unwrap();
                    let ending = thread::spawn(move || {
                        flag.store(true, SeqCst);
                        LAST.with(|last| last.0.borrow_mut().push(waker));
                    });
                    (&mut task).await.unwrap();
                    ending.join().unwrap();
                    task
                };
                assert!(woken.is_finished());
                flag.store(false, SeqCst);
                drop(spawn(until(flag.clone(), send.clone())));
                yield_now().await;
            });
            let waker = receive.try_iter().last().unwrap();
            drop(runtime);
            waker.wake_by_ref();
            LAST.with(|last| last.0.borrow_mut().push(waker.clone()));
            waker
        });
        let waker = survivors.join().unwrap();
        waker.wake_by_ref();
        assert!(waker.will_wake(&waker.clone()));
    });
}

/// A join of two futures as other crates write it: each part has a waker of its own, behind an Arc.
struct Both<A: Future, B: Future> {
    a: Part<A>,
    b: Part<B>,
}

struct Part<F: Future> {
    future: Pin<Box<F>>,
    waker: Arc<PartWaker>,
    output: Option<F::Output>,
}

struct PartWaker {
    ready: AtomicBool,
    parent: std::sync::Mutex<Option<Waker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.ready.store(true, SeqCst);
        if let Some(parent) = &*self.parent.lock().unwrap() {
            parent.wake_by_ref();
        }
    }
}

impl<F: Future> Part<F> {
    fn new(future: F) -> Self {
        let waker = PartWaker { ready: AtomicBool::new(true), parent: Default::default() };
        Self { future: Box::pin(future), waker: Arc::new(waker), output: None }
    }

    /// Polls only when its own waker was woken.
    fn poll(&mut self, cx: &Context<'_>) -> bool {
        *self.waker.parent.lock().unwrap() = Some(cx.waker().clone());
        if self.output.is_none() && self.waker.ready.swap(false, SeqCst) {
            let waker = Waker::from(self.waker.clone());
            if let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                self.output = Some(output);
            }
        }
        self.output.is_some()
    }
}

impl<A: Future, B: Future> Future for Both<A, B>
where
    A::Output: Unpin,
    B::Output: Unpin,
{
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.a.poll(cx) & self.b.poll(cx) {
            return Poll::Ready((self.a.output.take().unwrap(), self.b.output.take().unwrap()));
        }
        Poll::Pending
    }
}

fn both<A: Future, B: Future>(a: A, b: B) -> Both<A, B> {
    Both { a: Part::new(a), b: Part::new(b) }
}

#[test]
fn a_foreign_combinator_with_wakers_of_its_own_is_woken() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = both(listener.accept(), TcpStream::connect(address)).await;
        let ((mut here, _), mut there) = (accepted.unwrap(), connected.unwrap());
        let mut buf = [0; 4];
        let (read, ()) = both(here.read(&mut buf), async {
            sleep(Duration::from_millis(1)).await;
            there.write_all(b"late").await.unwrap();
        })
        .await;
        assert_eq!(read.unwrap(), 4);
        let tasks = both(spawn(async { 1 }), spawn(async { 2 })).await;
        assert_eq!((tasks.0.unwrap(), tasks.1.unwrap()), (1, 2));
        let _slept = both(sleep(Duration::from_millis(1)), sleep(Duration::from_millis(2))).await;
        // The budget is used up inside: both parts go on all the same.
        let many = |n: u32| async move {
            for i in 0..n {
                assert_eq!(spawn(async move { i }).await.unwrap(), i);
            }
        };
        let _done = both(many(1000), both(many(1000), yield_now())).await;
        assert_eq!(metrics().tasks_alive, 0);
    });
}

#[test]
fn a_future_polled_by_two_tasks_in_turn_wakes_the_last() {
    run_on_each(|| async {
        let (gate, opened) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None::<Waker>)));
        let (shut, opener) = (gate.clone(), opened.clone());
        let inner = Rc::new(RefCell::new(spawn(poll_fn(move |cx| {
            opener.set(Some(cx.waker().clone()));
            if shut.get() { Poll::Ready(8) } else { Poll::Pending }
        }))));
        let first = inner.clone();
        spawn(poll_fn(move |cx| {
            assert!(Pin::new(&mut *first.borrow_mut()).poll(cx).is_pending());
            Poll::Ready(())
        }))
        .await
        .unwrap();
        let last = spawn(poll_fn(move |cx| Pin::new(&mut *inner.borrow_mut()).poll(cx)));
        yield_now().await;
        gate.set(true);
        opened.take().unwrap().wake();
        assert_eq!(last.await.unwrap().unwrap(), 8);
    });
}

// Seen to fail when a mailbox was closed with its wake bits set: the next home's foreign wakes were
// lost.
#[test]
fn wakes_that_race_with_the_end_reach_nobody_wrong_and_futures_are_dropped_at_home() {
    on_each_backend(|builder| {
        for round in 0..60 {
            let (send, wakers) = mpsc::channel::<Waker>();
            let ended = Arc::new(AtomicBool::new(false));
            let others: Vec<_> = {
                let mut all: Vec<Vec<Waker>> = vec![Vec::new(); 2];
                let dropped = Arc::new(std::sync::Mutex::new(Vec::new()));
                let mut runtime = build(builder);
                runtime.block_on(async {
                    for _ in 0..10 {
                        let (send, dropped) = (send.clone(), dropped.clone());
                        // Not Send: it must not go with a thread that has its waker.
                        let stays = Rc::new(OnDrop(move || {
                            dropped.lock().unwrap().push(thread::current().id());
                        }));
                        drop(spawn(async move {
                            let _stays = stays;
                            until(Arc::default(), send).await;
                        }));
                    }
                    yield_now().await;
                    for (i, waker) in wakers.try_iter().enumerate() {
                        all[i % 2].push(waker);
                    }
                });
                let others = all.into_iter().map(|wakers| {
                    let ended = ended.clone();
                    thread::spawn(move || {
                        let mut after = 0;
                        while after < 20 {
                            after += u32::from(ended.load(SeqCst));
                            for waker in &wakers {
                                waker.wake_by_ref();
                                let clone = waker.clone();
                                drop(waker.clone());
                                clone.wake();
                            }
                        }
                        drop(wakers);
                    })
                });
                let others = others.collect();
                runtime.block_on(async {
                    for _ in 0..round % 5 {
                        yield_now().await;
                    }
                });
                drop(runtime);
                assert_eq!(*dropped.lock().unwrap(), [thread::current().id(); 10]);
                others
            };
            // The next lives in the same home, and its tasks have the same slots.
            let mut next = build(builder);
            ended.store(true, SeqCst);
            next.block_on(async {
                let tasks: Vec<_> = (0..10)
                    .map(|i| {
                        spawn(async move {
                            sleep(Duration::from_micros(100)).await;
                            i
                        })
                    })
                    .collect();
                for (i, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.unwrap(), i);
                }
                // Nor are they deaf to foreign wakes.
                let (send, wakers) = mpsc::channel::<Waker>();
                let flag = Arc::new(AtomicBool::new(false));
                let tasks: Vec<_> =
                    (0..10).map(|_| spawn(until(flag.clone(), send.clone()))).collect();
                yield_now().await;
                let waking = thread::spawn(move || {
                    flag.store(true, SeqCst);
                    wakers.try_iter().for_each(Waker::wake);
                });
                for task in tasks {
                    task.await.unwrap();
                }
                waking.join().unwrap();
            });
            for other in others {
                other.join().unwrap();
            }
        }
    });
}
