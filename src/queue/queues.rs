//! The three queues: one core, three stores.

use std::fmt;

use super::Shutdown;
use super::core::Core;
use super::error::{QueueShutdown, TaskDoneError, TryGetError, TryPutError};
use super::heap::Heap;
use super::store::{Fifo, Lifo};

/// A queue whose oldest item comes out first; asyncio's [`Queue`].
///
/// See the [module](super) for what all queues have in common.
///
/// [`Queue`]: https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue
///
/// # Examples
///
/// ```
/// let queue = ringloop::queue::Queue::unbounded();
/// queue.try_put(1).unwrap();
/// queue.try_put(2).unwrap();
/// assert_eq!(queue.try_get(), Ok(1));
/// ```
pub struct Queue<T> {
    core: Core<Fifo<T>>,
}

/// A queue whose newest item comes out first; asyncio's [`LifoQueue`].
///
/// See the [module](super) for what all queues have in common.
///
/// [`LifoQueue`]: https://docs.python.org/3/library/asyncio-queue.html#asyncio.LifoQueue
///
/// # Examples
///
/// ```
/// let queue = ringloop::queue::LifoQueue::unbounded();
/// queue.try_put(1).unwrap();
/// queue.try_put(2).unwrap();
/// assert_eq!(queue.try_get(), Ok(2));
/// ```
pub struct LifoQueue<T> {
    core: Core<Lifo<T>>,
}

/// A queue whose smallest item comes out first, and the oldest among equals; asyncio's
/// [`PriorityQueue`], which promises nothing among equals.
///
/// For the greatest first put [`Reverse`](std::cmp::Reverse). See the [module](super) for what all
/// queues have in common.
///
/// [`PriorityQueue`]: https://docs.python.org/3/library/asyncio-queue.html#asyncio.PriorityQueue
///
/// # Panics
///
/// Putting and getting compare items, and panic when the comparison does: nothing is taken out then, and
/// what was to be put is dropped. So they do when the comparison uses this very queue.
///
/// # Examples
///
/// ```
/// let queue = ringloop::queue::PriorityQueue::unbounded();
/// queue.try_put((2, "later")).unwrap();
/// queue.try_put((1, "soon")).unwrap();
/// assert_eq!(queue.try_get(), Ok((1, "soon")));
/// ```
pub struct PriorityQueue<T> {
    core: Core<Heap<T>>,
}

/// What the three have in common, for items with a bound.
macro_rules! queues {
    ($($name:ident<T $(: $bound:ident)?>),+) => {$(
        impl<T $(: $bound)?> $name<T> {
            /// A queue with room for `capacity` items. Memory is taken as items come.
            ///
            /// # Panics
            ///
            /// With a capacity of zero, which to asyncio means [`unbounded`](Self::unbounded).
            pub fn bounded(capacity: usize) -> Self {
                Self { core: Core::bounded(capacity) }
            }

            /// A queue with room for whatever memory holds.
            pub fn unbounded() -> Self {
                Self { core: Core::unbounded() }
            }

            /// Puts an item in; waits while the queue is full.
            ///
            /// # Errors
            ///
            /// [`QueueShutdown`] with the item, when the queue was shut down, also while this waited.
            ///
            /// # Cancel safety
            ///
            /// Dropped while it waits, it puts nothing: the item is dropped with it, and its turn goes to
            /// the next.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::queue::{Queue, QueueShutdown, Shutdown};
            ///
            /// ringloop::run(async {
            ///     let queue = Queue::bounded(1);
            ///     queue.put("item").await.unwrap();
            ///     queue.shutdown(Shutdown::Drain);
            ///     assert_eq!(queue.put("late").await, Err(QueueShutdown("late")));
            /// });
            /// ```
            pub async fn put(&self, item: T) -> Result<(), QueueShutdown<T>> {
                self.core.put(item).await
            }

            /// Puts an item in if there is a place that nobody waits for.
            ///
            /// # Errors
            ///
            /// The item comes back in [`TryPutError::Full`], or in [`TryPutError::Shutdown`] when the
            /// queue was shut down.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::queue::{Queue, TryPutError};
            ///
            /// let queue = Queue::bounded(1);
            /// queue.try_put('a').unwrap();
            /// assert_eq!(queue.try_put('b'), Err(TryPutError::Full('b')));
            /// ```
            #[doc(alias = "put_nowait")]
            pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
                self.core.try_put(item)
            }

            /// Takes an item out; waits while the queue is empty.
            ///
            /// # Errors
            ///
            /// [`QueueShutdown`], when the queue was shut down and is empty, also while this waited.
            ///
            /// # Cancel safety
            ///
            /// Dropping it loses nothing: an item leaves the queue in the very poll that returns it.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::queue::{Queue, QueueShutdown, Shutdown};
            ///
            /// ringloop::run(async {
            ///     let queue = Queue::bounded(1);
            ///     queue.put("item").await.unwrap();
            ///     queue.shutdown(Shutdown::Drain);
            ///     assert_eq!(queue.get().await, Ok("item"));
            ///     assert_eq!(queue.get().await, Err(QueueShutdown(())));
            /// });
            /// ```
            pub async fn get(&self) -> Result<T, QueueShutdown> {
                self.core.get().await
            }

            /// Takes an item out if there is one that nobody waits for.
            ///
            /// # Errors
            ///
            /// [`TryGetError::Empty`], or [`TryGetError::Shutdown`] when none will come any more.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::queue::{Queue, TryGetError};
            ///
            /// let queue = Queue::<u8>::unbounded();
            /// assert_eq!(queue.try_get(), Err(TryGetError::Empty));
            /// ```
            #[doc(alias = "get_nowait")]
            pub fn try_get(&self) -> Result<T, TryGetError> {
                self.core.try_get()
            }

            /// Says that one of the items that were put has been dealt with.
            ///
            /// # Errors
            ///
            /// [`TaskDoneError`] when that has been said of all of them.
            ///
            /// # Examples
            ///
            /// ```
            /// let queue = ringloop::queue::Queue::unbounded();
            /// queue.try_put("work").unwrap();
            /// queue.task_done().unwrap();
            /// assert!(queue.task_done().is_err());
            /// ```
            pub fn task_done(&self) -> Result<(), TaskDoneError> {
                self.core.task_done()
            }

            /// Waits until every item that was put has been dealt with: until
            /// [`task_done`](Self::task_done) has been called as often. At once, if nothing was put.
            ///
            /// # Cancel safety
            ///
            /// Dropping it does nothing.
            ///
            /// # Examples
            ///
            /// ```
            /// ringloop::run(async {
            ///     let queue = ringloop::queue::Queue::unbounded();
            ///     queue.try_put("work").unwrap();
            ///     queue.get().await.unwrap();
            ///     queue.task_done().unwrap();
            ///     queue.join().await;
            /// });
            /// ```
            pub async fn join(&self) {
                self.core.join().await;
            }

            /// Ends the queue, for good: whoever waits is woken, and nothing can be put any more.
            ///
            /// Items that have been taken out still count as work to be done, so that
            /// [`join`](Self::join) waits for them, however it is shut down. Once more, it does nothing, or
            /// makes a drain immediate.
            ///
            /// # Examples
            ///
            /// ```
            /// use ringloop::queue::{Queue, Shutdown, TryGetError};
            ///
            /// let queue = Queue::unbounded();
            /// queue.try_put(1).unwrap();
            /// queue.shutdown(Shutdown::Immediate);
            /// assert_eq!(queue.try_get(), Err(TryGetError::Shutdown));
            /// ```
            pub fn shutdown(&self, how: Shutdown) {
                self.core.shutdown(how);
            }

            /// Whether it was shut down.
            pub fn is_shutdown(&self) -> bool {
                self.core.is_shutdown()
            }

            /// How many items are in the queue, those that are promised to waiters included.
            ///
            /// # Examples
            ///
            /// ```
            /// let queue = ringloop::queue::Queue::bounded(2);
            /// queue.try_put(1).unwrap();
            /// assert_eq!((queue.len(), queue.capacity()), (1, Some(2)));
            /// assert!(!queue.is_empty() && !queue.is_full());
            /// ```
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.core.len()
            }

            /// Whether no item is in the queue.
            #[doc(alias = "empty")]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether as many items are in the queue as it has room for: never, if it is unbounded.
            #[doc(alias = "full")]
            pub fn is_full(&self) -> bool {
                self.core.is_full()
            }

            /// How many items it has room for; `None` if it is unbounded.
            #[doc(alias = "maxsize")]
            pub fn capacity(&self) -> Option<usize> {
                self.core.capacity()
            }

            /// How many items were put and not yet dealt with, as [`task_done`](Self::task_done) counts.
            pub fn unfinished(&self) -> usize {
                self.core.unfinished()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.core.debug(f, stringify!($name))
            }
        }
    )+};
}

queues!(Queue<T>, LifoQueue<T>, PriorityQueue<T: Ord>);
