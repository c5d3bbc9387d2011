//! The shard's buffers: a ring of fixed ones, the heap beside it, one budget for both.
#![expect(unsafe_code, reason = "says which bytes of a block the kernel has written")]

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use super::Block;
use super::large::Large;
use super::lease::{Header, Lease};
use super::memory::Rack;
use crate::sys::message::HEAD;
use crate::sys::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};

/// The pool's handle. Cheap to clone; the memory is freed with the last lease and the last handle.
#[derive(Clone)]
pub(crate) struct Pool(Rc<Shared>);

/// Buffers for datagrams, each for the longest that there is, with its head. Their pages cost nothing
/// until they are filled; sizes that are no power of two do not fall on the same lines of a cache.
const MESSAGES: u16 = 64;
const MESSAGE: u32 = (HEAD as u32 + 65_535).next_multiple_of(64);

/// What handles and leases share on the shard's own thread.
pub(super) struct Shared {
    region: Arc<Region>,
    headers: Box<[Header]>,
    size: u32,
    /// Buffers that nobody holds and no driver has taken yet.
    free: RefCell<Vec<u16>>,
    /// Bit per buffer: a driver has taken it, so a completion may name it.
    taken: RefCell<Box<[bool]>>,
    /// Ring buffers behind leases.
    lent: Cell<u32>,
    /// Heap bytes behind leases, with their headers.
    heap: Cell<u64>,
    budget: u64,
    large: Large,
    /// Buffers for datagrams, once there is a socket that needs them.
    messages: OnceCell<Pool>,
}

/// The memory itself, and the way home for buffers that left the thread as `Bytes`.
pub(super) struct Region {
    rack: Rack,
    any_home: AtomicBool,
    home: Mutex<Vec<u16>>,
    /// Heap bytes that were freed on other threads.
    heap_home: AtomicU64,
}

impl Pool {
    /// A pool of `count` buffers (a power of two) of `size` bytes; `budget` bounds the bytes behind
    /// leases.
    pub(crate) fn new(count: u16, size: u32, budget: u64) -> io::Result<Self> {
        let region = Arc::new(Region {
            rack: Rack::new(count, size)?,
            any_home: AtomicBool::new(false),
            home: Mutex::new(Vec::new()),
            heap_home: AtomicU64::new(0),
        });
        let headers = (0..count).map(|id| Header::ring(region.rack.buffer(id), size, id)).collect();
        Ok(Self(Rc::new(Shared {
            region,
            headers,
            size,
            // Last in, first out, starting with buffer 0: what was touched last is still cached.
            free: RefCell::new((0..count).rev().collect()),
            taken: RefCell::new(vec![false; usize::from(count)].into()),
            lent: Cell::new(0),
            heap: Cell::new(0),
            budget,
            large: Large::new(),
            messages: OnceCell::new(),
        })))
    }

    /// How many buffers the ring has.
    pub(crate) fn count(&self) -> u16 {
        self.0.headers.len() as u16
    }

    /// Bytes a buffer.
    pub(crate) fn size(&self) -> u32 {
        self.0.size
    }

    /// Makes the buffers for datagrams, unless they are there.
    ///
    /// # Errors
    ///
    /// There is no memory for them.
    pub(crate) fn open_messages(&self) -> io::Result<()> {
        if self.messages().is_none() {
            let _ = self.0.messages.set(Self::new(MESSAGES, MESSAGE, u64::MAX)?);
        }
        Ok(())
    }

    /// The buffers for datagrams. What stands behind their leases counts in this pool's budget.
    pub(crate) fn messages(&self) -> Option<&Self> {
        self.0.messages.get()
    }

    /// Takes a free buffer for the driver, which may fill it and name it in a completion.
    pub(crate) fn take(&self) -> Option<(u16, NonNull<u8>)> {
        let id = self.0.free.borrow_mut().pop()?;
        self.0.taken.borrow_mut()[usize::from(id)] = true;
        self.0.region.rack.open(id);
        Some((id, self.0.region.rack.buffer(id)))
    }

    /// Takes back a buffer that the driver took and did not use.
    pub(crate) fn untake(&self, id: u16) {
        let mut taken = self.0.taken.borrow_mut();
        let taken = &mut taken[usize::from(id)];
        debug_assert!(*taken, "buffer {id} was not taken");
        *taken = false;
        self.0.region.rack.shut(id);
        self.0.free.borrow_mut().push(id);
    }

    /// Takes back every buffer that the driver took and no completion has named.
    pub(crate) fn untake_all(&self) {
        let taken: Vec<u16> = (0..self.count()).filter(|&id| self.is_taken(id)).collect();
        taken.into_iter().for_each(|id| self.untake(id));
    }

    fn is_taken(&self, id: u16) -> bool {
        self.0.taken.borrow()[usize::from(id)]
    }

    /// The lease of the `len` bytes that a completion says are in buffer `id`.
    ///
    /// Few buffers left: the bytes are copied to the heap and the buffer is free again at once, so
    /// that progress never depends on a user who keeps leases. `None` where no driver has taken the
    /// buffer or the length is beyond it: the completion lies, and nothing may be read.
    pub(crate) fn lease(&self, id: u16, len: u32) -> Option<Lease> {
        let header = self.0.headers.get(usize::from(id))?;
        if len > self.0.size || !std::mem::take(self.0.taken.borrow_mut().get_mut(usize::from(id))?)
        {
            return None;
        }
        self.0.region.rack.lend(id);
        self.0.lent.set(self.0.lent.get() + 1);
        let lease = Lease::first(NonNull::from(header), self.0.clone(), len);
        if self.low() { Some(self.copy(&lease)) } else { Some(lease) }
    }

    /// A heap lease with a copy of `bytes`.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Lease {
        self.adopt(Block::copy_of(bytes))
    }

    /// The lease of a heap block's bytes.
    pub(crate) fn adopt(&self, block: Block) -> Lease {
        let len = block.len() as u32;
        self.adopt_first(block, len)
    }

    /// The lease of the first `len` bytes of a heap block.
    fn adopt_first(&self, block: Block, len: u32) -> Lease {
        debug_assert!(len as usize <= block.len());
        self.0.heap.set(self.0.heap.get() + heap_cost(block.capacity()));
        Lease::first(NonNull::from(Box::leak(Box::new(Header::heap(block)))), self.0.clone(), len)
    }

    /// The lease of the `len` bytes that a completion says are in `block`, which a receive was given.
    pub(crate) fn adopt_filled(&self, mut block: Block, len: u32) -> Lease {
        // SAFETY: the completion says that the kernel wrote `len` bytes; what it claims beyond the
        // block is cut off.
        unsafe { block.set_filled(len.min(block.capacity())) };
        // A few bytes must not keep a large block for as long as nobody reads.
        if len < block.capacity() / 4 { self.copy(&block) } else { self.adopt(block) }
    }

    /// A large block to receive into, full of whatever it held last.
    pub(crate) fn large(&self) -> Block {
        self.0.large.take()
    }

    /// Takes back a large block that was not needed.
    pub(crate) fn keep_large(&self, block: Block) {
        self.0.large.keep(block);
    }

    /// The lease of the first `len` bytes of a block that is initialized as a whole.
    ///
    /// They are copied where they would keep more than four times their memory, and where half of the
    /// budget is used, more than twice.
    pub(crate) fn lend_large(&self, block: Block, len: u32) -> Lease {
        let least = if self.used() > self.0.budget / 2 { 2 } else { 4 };
        if len < block.capacity() / least {
            let copy = self.copy(&block[..len as usize]);
            self.keep_large(block);
            return copy;
        }
        self.adopt_first(block, len)
    }

    /// Whether fewer than a quarter of the ring's buffers are free.
    pub(crate) fn low(&self) -> bool {
        let count = self.0.headers.len() as u32;
        count - self.0.lent.get() < count / 4
    }

    /// Whether every buffer of the ring is lent.
    pub(crate) fn exhausted(&self) -> bool {
        self.0.lent.get() as usize == self.0.headers.len()
    }

    /// How many ring buffers are not lent.
    pub(crate) fn available(&self) -> usize {
        self.0.headers.len() - self.0.lent.get() as usize
    }

    /// Bytes of memory behind leases, ring and heap.
    pub(crate) fn used(&self) -> u64 {
        let messages = self.messages().map_or(0, Self::used);
        u64::from(self.0.lent.get()) * u64::from(self.0.size) + self.0.heap.get() + messages
    }

    /// Whether more memory stands behind leases than the budget allows.
    pub(crate) fn over_budget(&self) -> bool {
        self.used() > self.0.budget
    }

    /// Takes in what came home from other threads.
    pub(crate) fn collect(&self) {
        if let Some(messages) = self.messages() {
            messages.collect();
        }
        let region = &self.0.region;
        // Acquire pairs with the Release of `Traveller::drop`; a miss is seen the next time.
        if !region.any_home.load(Ordering::Acquire) {
            return;
        }
        // A swap reads the last store, so what came before it is seen below, also what came since.
        region.any_home.swap(false, Ordering::Acquire);
        let ids = region.home.lock().map(|mut home| std::mem::take(&mut *home));
        for id in ids.into_iter().flatten() {
            self.0.release_ring(id);
        }
        let heap = region.heap_home.swap(0, Ordering::Relaxed);
        self.0.heap.set(self.0.heap.get() - heap);
    }

    /// Keeps the memory for ever: the kernel may still write into it.
    pub(crate) fn leak(&self) {
        if let Some(messages) = self.messages() {
            messages.leak();
        }
        std::mem::forget(self.0.region.clone());
    }
}

impl Shared {
    pub(super) fn release_ring(&self, id: u16) {
        self.lent.set(self.lent.get() - 1);
        self.region.rack.shut(id);
        self.free.borrow_mut().push(id);
    }

    pub(super) fn release_heap(&self, block: Block) {
        self.heap.set(self.heap.get() - heap_cost(block.capacity()));
        self.large.keep(block);
    }

    pub(super) fn region(&self) -> &Arc<Region> {
        &self.region
    }
}

impl Region {
    /// Brings a ring buffer home, from any thread.
    pub(super) fn post_ring(&self, id: u16) {
        let Some(mut home) = self.home.lock() else { return };
        home.push(id);
        drop(home);
        self.any_home.store(true, Ordering::Release);
    }

    /// Says, from any thread, that heap bytes were freed.
    pub(super) fn post_heap(&self, capacity: u32) {
        self.heap_home.fetch_add(heap_cost(capacity), Ordering::Relaxed);
        self.any_home.store(true, Ordering::Release);
    }
}

/// What a heap piece of `capacity` bytes takes: for small ones the header is the most of it.
fn heap_cost(capacity: u32) -> u64 {
    u64::from(capacity) + size_of::<Header>() as u64
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("count", &self.count())
            .field("size", &self.size())
            .field("lent", &self.0.lent.get())
            .field("heap", &self.0.heap.get())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &Pool, bytes: &[u8]) -> Lease {
        let (id, ptr) = pool.take().expect("a free buffer");
        // SAFETY: the buffer is ours until the lease names it, and the test's bytes fit.
        unsafe { ptr.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        pool.lease(id, bytes.len() as u32).expect("a taken buffer")
    }

    #[test]
    fn a_completion_that_names_a_buffer_nobody_took_gives_nothing() {
        let pool = Pool::new(4, 16, 1 << 20).unwrap();
        assert!(pool.lease(0, 1).is_none(), "not taken");
        assert!(pool.lease(4, 1).is_none(), "no such buffer");
        let (id, _) = pool.take().unwrap();
        assert!(pool.lease(id, 17).is_none(), "longer than the buffer");
        assert!(pool.lease(id, 16).is_some());
        assert!(pool.lease(id, 16).is_none(), "named twice");
    }

    #[test]
    fn the_last_quarter_is_copied_out_and_every_byte_comes_home() {
        let pool = Pool::new(8, 16, 1 << 20).unwrap();
        let leases: Vec<Lease> = (0..100u8).map(|i| filled(&pool, &[i; 10])).collect();
        assert!(pool.available() >= 1, "hoarded leases left no buffer");
        for (i, lease) in leases.iter().enumerate() {
            assert_eq!(&lease[..], [i as u8; 10]);
        }
        assert!(pool.used() >= 1000);
        drop(leases);
        assert_eq!(pool.used(), 0);
        assert_eq!(pool.available(), 8);
    }

    #[test]
    fn bytes_that_travelled_come_home_also_from_a_thread_and_after_the_pool() {
        let pool = Pool::new(8, 16384, 1 << 20).unwrap();
        let bytes = filled(&pool, &[7; 16384]).into_bytes();
        let heap = pool.adopt(Block::copy_of(&[8; 9000])).into_bytes();
        let small = filled(&pool, &[9; 10]).into_bytes();
        let late = filled(&pool, &[6; 16384]).into_bytes();
        assert_eq!(pool.available(), 6, "small ones are copied, large ones keep their buffer");
        std::thread::spawn(move || {
            assert!(bytes.iter().all(|&b| b == 7) && heap.iter().all(|&b| b == 8));
            assert_eq!(&small[..], [9; 10]);
        })
        .join()
        .unwrap();
        pool.collect();
        assert_eq!((pool.available(), pool.used()), (7, 16384));
        drop(pool);
        assert!(late.iter().all(|&b| b == 6), "the memory outlives the pool");
    }

    // Seen to fail when half a budget makes no difference.
    #[test]
    fn a_large_block_is_lent_for_what_is_worth_it_and_sooner_while_memory_is_plenty() {
        let pool = Pool::new(2, 256, 1 << 20).unwrap();
        let lend = |len| {
            let before = pool.used();
            let lease = pool.lend_large(pool.large(), len);
            assert_eq!(lease.len(), len as usize);
            (pool.used() - before >= 256 << 10, lease)
        };
        let (small, _) = lend(65_535);
        let (fair, one) = lend(65_536);
        let (whole, other) = lend(256 << 10);
        assert!(!small && fair && whole);
        // Half of the budget stands behind leases now.
        let (fair, _) = lend(65_536);
        let (half, third) = lend(128 << 10);
        assert!(!fair && half);
        drop((one, other, third));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_split_buffer_comes_home_with_its_last_part() {
        let pool = Pool::new(8, 16, 1 << 20).unwrap();
        let mut lease = filled(&pool, b"hello world");
        let head = lease.split_to(5);
        lease.advance(1);
        assert_eq!((&head[..], &lease[..]), (&b"hello"[..], &b"world"[..]));
        drop(head);
        assert_eq!(pool.available(), 7);
        drop(lease);
        assert_eq!(pool.available(), 8);
    }
}
