//! Queues of work for the tasks of one thread; asyncio's [queues].
//!
//! Any number of tasks put items in and any number take them out, through `&self`: put the queue into an
//! [`Rc`](std::rc::Rc) to share it. Beside that a queue knows how much of the work is done:
//! [`join`](Queue::join) waits until each item that was put has been answered by a
//! [`task_done`](Queue::task_done).
//!
//! | queue | who comes out first |
//! |---|---|
//! | [`Queue`] | the oldest |
//! | [`LifoQueue`] | the newest |
//! | [`PriorityQueue`] | the smallest; among equals the oldest |
//!
//! ```
//! use std::rc::Rc;
//! use ringloop::queue::{Queue, Shutdown};
//!
//! ringloop::run(async {
//!     let queue = Rc::new(Queue::bounded(2));
//!     let worker = ringloop::spawn({
//!         let queue = queue.clone();
//!         async move {
//!             let mut sum = 0;
//!             while let Ok(number) = queue.get().await {
//!                 sum += number;
//!                 queue.task_done().unwrap();
//!             }
//!             sum
//!         }
//!     });
//!     for number in 0..10 {
//!         queue.put(number).await.unwrap();
//!     }
//!     queue.join().await;
//!     queue.shutdown(Shutdown::Drain);
//!     assert_eq!(worker.await.unwrap(), 45);
//! });
//! ```
//!
//! Waiters are first come, first served: an item, or a place that becomes free, is promised to whoever
//! waits longest and to nobody else. So `try_get` may find nothing although [`len`](Queue::len) is not zero.
//! A waiter that is dropped passes on what it was promised, and an item leaves the queue in the very poll
//! that returns it.
//!
//! A queue needs no runtime and belongs to one thread. Between threads use `tokio::sync::mpsc`.
//!
//! [queues]: https://docs.python.org/3/library/asyncio-queue.html

mod core;
mod error;
mod heap;
mod queues;
mod store;

pub use error::{QueueShutdown, TaskDoneError, TryGetError, TryPutError};
pub use queues::{LifoQueue, PriorityQueue, Queue};

/// What becomes of the items of a queue that is shut down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// They can still be taken; who takes from the empty queue is told of the end.
    Drain,
    /// They are dropped, and no longer count as work to be done.
    #[doc(alias = "immediate")]
    Immediate,
}

#[cfg(test)]
mod tests;
