//! The three queues by one name, for a walk that knows only in what order items come out.

use std::cmp::Ordering;
use std::rc::Rc;

use super::*;

/// Counted by the clones of an `Rc`, equal by its key.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) key: u8,
    pub(super) number: usize,
    pub(super) _alive: Rc<()>,
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Item {}
impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// What the three queues are called by.
pub(super) trait Subject: 'static {
    fn make(capacity: Option<usize>) -> Self;
    /// Which of `items`, which stand in the order of putting, comes out next.
    fn next(items: &[(u8, usize)]) -> usize;
    fn put(&self, item: Item) -> impl Future<Output = Result<(), QueueShutdown<Item>>>;
    fn get(&self) -> impl Future<Output = Result<Item, QueueShutdown>>;
    fn join(&self) -> impl Future<Output = ()>;
    fn try_put(&self, item: Item) -> Result<(), TryPutError<Item>>;
    fn try_get(&self) -> Result<Item, TryGetError>;
    fn task_done(&self) -> Result<(), TaskDoneError>;
    fn shutdown(&self, how: Shutdown);
    fn figures(&self) -> (usize, bool, bool, usize);
}

macro_rules! subjects {
    ($($name:ident, $next:expr;)+) => {$(
        impl Subject for $name<Item> {
            fn make(capacity: Option<usize>) -> Self {
                capacity.map_or_else(Self::unbounded, Self::bounded)
            }
            fn next(items: &[(u8, usize)]) -> usize {
                let next: fn(&[(u8, usize)]) -> usize = $next;
                next(items)
            }
            async fn put(&self, item: Item) -> Result<(), QueueShutdown<Item>> {
                self.put(item).await
            }
            async fn get(&self) -> Result<Item, QueueShutdown> {
                self.get().await
            }
            async fn join(&self) {
                self.join().await;
            }
            fn try_put(&self, item: Item) -> Result<(), TryPutError<Item>> {
                self.try_put(item)
            }
            fn try_get(&self) -> Result<Item, TryGetError> {
                self.try_get()
            }
            fn task_done(&self) -> Result<(), TaskDoneError> {
                self.task_done()
            }
            fn shutdown(&self, how: Shutdown) {
                self.shutdown(how);
            }
            fn figures(&self) -> (usize, bool, bool, usize) {
                (self.len(), self.is_empty(), self.is_full(), self.unfinished())
            }
        }
    )+};
}

subjects! {
    Queue, |_| 0;
    LifoQueue, |items| items.len() - 1;
    PriorityQueue, |items| {
        let smallest = items.iter().enumerate().min_by_key(|(at, (key, _))| (*key, *at));
        smallest.unwrap().0
    };
}
