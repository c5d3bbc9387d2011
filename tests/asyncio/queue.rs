//! Queues (Q-*, X-08; checks 87 to 92).

use std::cell::RefCell;
use std::rc::Rc;

use ringloop::queue::{
    LifoQueue, PriorityQueue, Queue, QueueShutdown, Shutdown, TaskDoneError, TryGetError,
    TryPutError,
};
use ringloop::task::yield_now;
use ringloop::{JoinHandle, spawn};

use crate::support::{poll_once, run_on_each};
use crate::sync::spend_all;

/// Lets every task go on as far as it can.
async fn settle() {
    for _ in 0..5 {
        yield_now().await;
    }
}

fn spawn_get<T: 'static>(queue: &Rc<Queue<T>>) -> JoinHandle<Result<T, QueueShutdown>> {
    let queue = queue.clone();
    spawn(async move { queue.get().await })
}

fn spawn_put<T: 'static>(
    queue: &Rc<Queue<T>>,
    item: T,
) -> JoinHandle<Result<(), QueueShutdown<T>>> {
    let queue = queue.clone();
    spawn(async move { queue.put(item).await })
}

fn spawn_join<T: 'static>(queue: &Rc<Queue<T>>) -> JoinHandle<()> {
    let queue = queue.clone();
    spawn(async move { queue.join().await })
}

// G-14, check 87.
#[test]
fn each_queue_hands_out_in_its_own_order() {
    run_on_each(|| async {
        let (fifo, lifo, smallest) =
            (Queue::bounded(4), LifoQueue::bounded(4), PriorityQueue::bounded(4));
        for item in [(3, 'a'), (1, 'b'), (2, 'c'), (1, 'a')] {
            fifo.put(item).await.unwrap();
            lifo.put(item).await.unwrap();
            smallest.put(std::cmp::Reverse(item.0)).await.unwrap();
        }
        for (oldest, newest, greatest) in
            [((3, 'a'), (1, 'a'), 3), ((1, 'b'), (2, 'c'), 2), ((2, 'c'), (1, 'b'), 1)]
        {
            assert_eq!(fifo.get().await, Ok(oldest));
            assert_eq!(lifo.get().await, Ok(newest));
            assert_eq!(smallest.get().await.map(|item| item.0), Ok(greatest));
        }
    });
}

/// Compared by its first part alone.
#[derive(Debug)]
struct Job(u8, &'static str);

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Job {}
impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

// Q-09, G-14, check 87.
// Seen to fail when the heap let an item pass its equals on the way up.
#[test]
fn among_equals_the_oldest_comes_out_first() {
    let queue = PriorityQueue::unbounded();
    for job in [Job(2, "x"), Job(1, "a"), Job(1, "b"), Job(0, "first"), Job(1, "c"), Job(2, "y")] {
        queue.try_put(job).unwrap();
    }
    let mut names = Vec::new();
    while let Ok(job) = queue.try_get() {
        names.push(job.1);
    }
    assert_eq!(names, ["first", "a", "b", "c", "x", "y"]);
}

// check 87.
#[test]
fn its_figures_are_exact() {
    let queue = Queue::bounded(2);
    assert!(queue.is_empty() && !queue.is_full() && queue.capacity() == Some(2));
    queue.try_put(1).unwrap();
    assert!(!queue.is_empty() && !queue.is_full() && queue.len() == 1);
    queue.try_put(2).unwrap();
    assert!(queue.is_full() && queue.len() == 2 && queue.unfinished() == 2);
    queue.try_get().unwrap();
    assert!(!queue.is_full() && queue.len() == 1 && queue.unfinished() == 2);

    let queue = Queue::unbounded();
    for item in 0..1000 {
        queue.try_put(item).unwrap();
        assert!(!queue.is_full() && queue.capacity().is_none());
    }
    assert_eq!(queue.len(), 1000);
}

// check 88.
#[test]
fn putting_waits_while_it_is_full_and_getting_while_it_is_empty() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(1));
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        let get = spawn_get(&queue);
        settle().await;
        assert!(!get.is_finished());
        queue.put(1).await.unwrap();
        assert_eq!(get.await.unwrap(), Ok(1));

        queue.put(2).await.unwrap();
        assert_eq!(queue.try_put(3), Err(TryPutError::Full(3)));
        let put = spawn_put(&queue, 3);
        settle().await;
        assert!(!put.is_finished());
        assert_eq!(queue.get().await, Ok(2));
        assert_eq!(put.await.unwrap(), Ok(()));
        assert_eq!(queue.try_get(), Ok(3));
    });
}

//
#[test]
fn an_error_says_what_is_wrong_and_gives_the_value_back() {
    let queue = Queue::bounded(1);
    queue.try_put(String::from("one")).unwrap();
    let full = queue.try_put(String::from("two")).unwrap_err();
    assert_eq!(
        (full.to_string().as_str(), full.into_inner().as_str()),
        ("the queue is full", "two")
    );
    queue.shutdown(Shutdown::Immediate);
    let late = queue.try_put(String::from("three")).unwrap_err();
    assert_eq!(late.to_string(), "the queue was shut down");
    assert_eq!(late.into_inner(), "three");
    assert_eq!(TryGetError::Empty.to_string(), "the queue is empty");
    assert_eq!(queue.try_get().unwrap_err().to_string(), "the queue was shut down");
    fn any_error(_: impl std::error::Error + Send + Sync + 'static) {}
    any_error(QueueShutdown(()));
    any_error(TryPutError::Full(1));
    any_error(TryGetError::Empty);
}

//
#[test]
fn waiters_are_served_in_the_order_of_their_coming_one_for_each_item_or_place() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(2));
        let order = Rc::new(RefCell::new(Vec::new()));
        let getters: Vec<_> = (0..4)
            .map(|number| {
                let (queue, order) = (queue.clone(), order.clone());
                spawn(async move {
                    let item = queue.get().await.unwrap();
                    order.borrow_mut().push((number, item));
                })
            })
            .collect();
        settle().await;
        queue.try_put('a').unwrap();
        queue.try_put('b').unwrap();
        settle().await;
        assert_eq!(*order.borrow(), [(0, 'a'), (1, 'b')]);
        assert_eq!(getters.iter().filter(|getter| getter.is_finished()).count(), 2);

        let putters = ['c', 'd', 'e', 'f', 'g'].map(|item| spawn_put(&queue, item));
        settle().await;
        assert_eq!(*order.borrow(), [(0, 'a'), (1, 'b'), (2, 'c'), (3, 'd')]);
        assert_eq!(
            putters.each_ref().map(JoinHandle::is_finished),
            [true, true, true, true, false]
        );
        // Whoever comes now stands behind.
        assert_eq!(queue.try_get(), Ok('e'));
        assert_eq!(queue.try_put('h'), Err(TryPutError::Full('h')), "the place is promised");
        settle().await;
        assert!(putters[4].is_finished());
        assert_eq!((queue.get().await, queue.get().await), (Ok('f'), Ok('g')));
    });
}

// Q-05, check 89.
// Seen to fail when a waiter that was dropped kept what it had been promised.
#[test]
fn a_getter_that_was_woken_and_is_cancelled_loses_no_item_and_wakes_the_next() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(3));
        let (first, gone, second) = (spawn_get(&queue), spawn_get(&queue), spawn_get(&queue));
        settle().await;
        gone.cancel();
        assert!(gone.await.unwrap_err().is_cancelled());
        // Woken by the item, and cancelled in the same turn.
        queue.try_put(1).unwrap();
        first.cancel();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(second.await.unwrap(), Ok(1));

        let last = spawn_get(&queue);
        settle().await;
        queue.try_put(2).unwrap();
        last.cancel();
        settle().await;
        assert_eq!(queue.try_get(), Ok(2), "nobody waits: the item is for whoever comes");
    });
}

// Q-05, check 89.
#[test]
fn a_putter_that_was_woken_and_is_cancelled_loses_no_place_and_wakes_the_next() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(1));
        queue.try_put(0).unwrap();
        let (first, gone, second) =
            (spawn_put(&queue, 1), spawn_put(&queue, 2), spawn_put(&queue, 3));
        settle().await;
        gone.cancel();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(queue.try_get(), Ok(0));
        first.cancel();
        assert!(first.await.unwrap_err().is_cancelled());
        second.await.unwrap().unwrap();
        assert_eq!(queue.try_get(), Ok(3));

        queue.try_put(4).unwrap();
        let last = spawn_put(&queue, 5);
        settle().await;
        assert_eq!(queue.try_get(), Ok(4));
        last.cancel();
        settle().await;
        queue.try_put(6).unwrap();
        assert_eq!(
            (queue.len(), queue.unfinished()),
            (1, 4),
            "0, 3, 4 and 6 were put, and no more"
        );
    });
}

// Q-05, check 89: what asyncio lost in 2016, a timeout in the turn of the item.
#[test]
fn a_time_limit_in_the_turn_of_the_item_loses_no_item() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(1));
        let mut got = Vec::new();
        let producer = spawn({
            let queue = queue.clone();
            async move {
                for number in 0..200 {
                    queue.put(number).await.unwrap();
                    if number % 3 == 0 {
                        yield_now().await;
                    }
                }
                queue.shutdown(Shutdown::Drain);
            }
        });
        loop {
            // As a race with a time limit that may be over in any turn: polled, then dropped.
            let mut get = Box::pin(queue.get());
            let polled = poll_once(&mut get);
            yield_now().await;
            drop(get);
            match polled {
                std::task::Poll::Ready(Ok(number)) => got.push(number),
                std::task::Poll::Ready(Err(QueueShutdown(()))) => break,
                std::task::Poll::Pending => {}
            }
        }
        producer.await.unwrap();
        assert_eq!(got, (0..200).collect::<Vec<_>>());
    });
}

// check 90: asyncio's "why are getters waiting".
#[test]
fn producers_and_consumers_never_stall_through_one_place() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(1));
        let producers: Vec<_> = (0..3)
            .map(|producer| {
                let queue = queue.clone();
                spawn(async move {
                    for number in 0..100 {
                        queue.put((producer, number)).await.unwrap();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                spawn(async move {
                    let mut got = Vec::new();
                    while let Ok(item) = queue.get().await {
                        got.push(item);
                        queue.task_done().unwrap();
                    }
                    got
                })
            })
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
        queue.join().await;
        queue.shutdown(Shutdown::Drain);
        let mut all = Vec::new();
        for consumer in consumers {
            let got = consumer.await.unwrap();
            assert!(!got.is_empty(), "a consumer starved");
            all.extend(got);
        }
        all.sort_unstable();
        let expected: Vec<_> = (0..3).flat_map(|p| (0..100).map(move |n| (p, n))).collect();
        assert_eq!(all, expected);
    });
}

// Q-07, check 91.
#[test]
fn join_waits_for_every_item_and_all_who_wait_are_told() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::unbounded());
        assert!(matches!(queue.task_done(), Err(TaskDoneError { .. })));
        queue.join().await;
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        let joiners = [spawn_join(&queue), spawn_join(&queue)];
        let gone = spawn_join(&queue);
        queue.get().await.unwrap();
        queue.task_done().unwrap();
        settle().await;
        gone.cancel();
        assert!(!joiners[0].is_finished() && !joiners[1].is_finished());
        // Taking an item out is not yet doing its work.
        queue.get().await.unwrap();
        settle().await;
        assert!(!joiners[0].is_finished());
        queue.task_done().unwrap();
        // Told, although there is more to do when they run.
        queue.try_put(3).unwrap();
        for joiner in joiners {
            joiner.await.unwrap();
        }
        assert!(!spawn_is_done(&queue).await);
        queue.task_done().unwrap();
        let error = queue.task_done().unwrap_err();
        assert_eq!(error.to_string(), "task_done was called more often than items were put");
        queue.join().await;
    });
}

async fn spawn_is_done<T: 'static>(queue: &Rc<Queue<T>>) -> bool {
    let join = spawn_join(queue);
    settle().await;
    join.is_finished()
}

// check 92.
#[test]
fn a_shutdown_wakes_all_and_lets_what_is_there_be_taken() {
    run_on_each(|| async {
        let empty = Rc::new(Queue::<i32>::bounded(1));
        let getters = [spawn_get(&empty), spawn_get(&empty)];
        let full = Rc::new(Queue::bounded(1));
        full.try_put(1).unwrap();
        let putters = [spawn_put(&full, 2), spawn_put(&full, 3)];
        let join = spawn_join(&full);
        settle().await;
        empty.shutdown(Shutdown::Drain);
        full.shutdown(Shutdown::Drain);
        for getter in getters {
            assert_eq!(getter.await.unwrap(), Err(QueueShutdown(())));
        }
        for (putter, item) in putters.into_iter().zip([2, 3]) {
            assert_eq!(putter.await.unwrap(), Err(QueueShutdown(item)));
        }
        assert_eq!(full.put(4).await, Err(QueueShutdown(4)));
        assert_eq!(full.try_put(4), Err(TryPutError::Shutdown(4)));
        assert!(full.is_shutdown() && full.len() == 1 && full.is_full());
        assert_eq!(full.get().await, Ok(1));
        assert_eq!(full.get().await, Err(QueueShutdown(())));
        assert_eq!(full.try_get(), Err(TryGetError::Shutdown));
        settle().await;
        assert!(!join.is_finished());
        full.task_done().unwrap();
        join.await.unwrap();
        full.shutdown(Shutdown::Drain);
    });
}

// Q-08, check 92.
// Seen to fail when an immediate shutdown left the joiners waiting.
#[test]
fn an_immediate_shutdown_drains_and_leaves_to_join_only_what_was_handed_out() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::unbounded());
        let item = Rc::new(());
        for _ in 0..3 {
            queue.try_put(item.clone()).unwrap();
        }
        let join = spawn_join(&queue);
        let taken = queue.get().await.unwrap();
        settle().await;
        queue.shutdown(Shutdown::Immediate);
        assert_eq!((Rc::strong_count(&item), queue.len(), queue.unfinished()), (2, 0, 1));
        assert!(queue.get().await.is_err());
        settle().await;
        assert!(!join.is_finished(), "one was handed out");
        drop(taken);
        queue.task_done().unwrap();
        join.await.unwrap();

        let queue = Rc::new(Queue::unbounded());
        queue.try_put(1).unwrap();
        let join = spawn_join(&queue);
        settle().await;
        // Promised, and then drained.
        let get = spawn_get(&queue);
        queue.shutdown(Shutdown::Drain);
        queue.shutdown(Shutdown::Immediate);
        join.await.unwrap();
        assert_eq!(get.await.unwrap(), Err(QueueShutdown(())));
        assert!(queue.task_done().is_err());
    });
}

// Q-08, check 92.
#[test]
fn a_getter_that_was_promised_an_item_before_the_shutdown_gets_it() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(2));
        let (first, second) = (spawn_get(&queue), spawn_get(&queue));
        settle().await;
        queue.try_put(1).unwrap();
        queue.shutdown(Shutdown::Drain);
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(second.await.unwrap(), Err(QueueShutdown(())));

        // Or the next does, when the first is cancelled.
        let queue = Rc::new(Queue::bounded(2));
        let (first, second) = (spawn_get(&queue), spawn_get(&queue));
        settle().await;
        queue.try_put(1).unwrap();
        queue.shutdown(Shutdown::Drain);
        first.cancel();
        assert_eq!(second.await.unwrap(), Ok(1));
    });
}

// the cooperative budget counts queues in, so that a queue that is never empty starves nobody.
// Seen to fail when a getter did not count what it found.
#[test]
fn a_queue_that_is_never_empty_lets_other_tasks_run() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::bounded(2));
        let other = spawn(async {});
        let busy = async {
            for _ in 0..1_000_000 {
                queue.put(()).await.unwrap();
                queue.get().await.unwrap();
                if other.is_finished() {
                    return;
                }
            }
            panic!("the other task never ran");
        };
        busy.await;
    });
}

// Seen to fail when the budget was asked before the line was entered.
#[test]
fn a_join_that_came_without_budget_hears_of_the_end_although_more_is_put() {
    run_on_each(|| async {
        let queue = Rc::new(Queue::unbounded());
        queue.try_put(1).unwrap();
        let join = spawn({
            let queue = queue.clone();
            async move {
                spend_all().await;
                queue.join().await;
            }
        });
        yield_now().await;
        queue.try_get().unwrap();
        queue.task_done().unwrap();
        queue.try_put(2).unwrap();
        settle().await;
        assert!(join.is_finished(), "it sleeps over the end");

        // The end was there before it came.
        let queue = Rc::new(Queue::unbounded());
        yield_now().await;
        spend_all().await;
        let mut join = Box::pin(queue.join());
        assert!(poll_once(&mut join).is_pending());
        queue.try_put(1).unwrap();
        yield_now().await;
        assert!(poll_once(&mut join).is_ready(), "it had been at the end");
    });
}
