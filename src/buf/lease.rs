//! A lease: received bytes, lent to whoever holds it.
#![expect(unsafe_code, reason = "shares one buffer between its parts without a copy")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::Block;
use super::pool::{Region, Shared};

/// Up to this many bytes a copy is cheaper than a buffer that travels.
const COPY_MAX: usize = 4096;

/// Received bytes in the runtime's own memory, lent to whoever holds the lease.
///
/// It dereferences to `[u8]`, and dropping it gives the memory back. A lease stays on its thread
/// (it is `!Send`); [`into_bytes`](Self::into_bytes) makes bytes that travel. It may outlive its
/// runtime. Keeping many leases for long is allowed: when few buffers are left the runtime copies
/// what arrives, so nobody else is held up.
///
/// # Examples
///
/// ```
/// # ringloop::run(async {
/// # let listener = ringloop::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let mut peer = ringloop::net::TcpStream::connect(listener.local_addr()?).await?;
/// # let (mut stream, _) = listener.accept().await?;
/// # peer.write_all(b"hello").await?;
/// let mut lease = stream.read_chunk().await?.expect("five bytes are on their way");
/// let first = lease.split_to(1);
/// assert_eq!(&first[..], b"h");
/// stream.write_chunk(lease).await?; // sent without a copy
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct Lease {
    /// Counted by `Header::refs`; the parts of one buffer share it.
    header: NonNull<Header>,
    start: u32,
    len: u32,
}

const _: () = assert!(size_of::<Option<Lease>>() == 16, "an inbox holds one inline");

/// What the parts of one buffer share.
///
/// A ring buffer's header stands in the pool for ever; a heap piece's header is a box of its own.
/// While `refs` is above 0 the header owns one strong count of `pool`.
pub(super) struct Header {
    data: NonNull<u8>,
    capacity: u32,
    /// Parts of this buffer that are alive.
    refs: Cell<u32>,
    pool: Cell<*const Shared>,
    home: Home,
}

/// Where the memory goes when the last part is gone.
enum Home {
    Ring(u16),
    Heap(ManuallyDrop<Block>),
}

impl Header {
    pub(super) fn ring(data: NonNull<u8>, capacity: u32, id: u16) -> Self {
        Self {
            data,
            capacity,
            refs: Cell::new(0),
            pool: Cell::new(std::ptr::null()),
            home: Home::Ring(id),
        }
    }

    pub(super) fn heap(mut block: Block) -> Self {
        Self {
            // SAFETY: a block's memory is not null.
            data: unsafe { NonNull::new_unchecked(block.as_mut_ptr()) },
            capacity: block.capacity(),
            refs: Cell::new(0),
            pool: Cell::new(std::ptr::null()),
            home: Home::Heap(ManuallyDrop::new(block)),
        }
    }
}

impl Lease {
    /// The first part of a buffer whose first `len` bytes are initialized.
    pub(super) fn first(header: NonNull<Header>, pool: Rc<Shared>, len: u32) -> Self {
        // SAFETY: the pool gives a header that lives: in its own slice, kept by the count that we
        // store here, or in a box that only the last part frees.
        let shared = unsafe { header.as_ref() };
        debug_assert_eq!(shared.refs.get(), 0, "a buffer is lent once at a time");
        debug_assert!(len <= shared.capacity);
        shared.refs.set(1);
        shared.pool.set(Rc::into_raw(pool));
        Self { header, start: 0, len }
    }

    fn header(&self) -> &Header {
        // SAFETY: as long as a part is alive `refs` is above 0, and so the header lives.
        unsafe { self.header.as_ref() }
    }

    /// Drops the first `n` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "cannot advance by {n}: the lease has {} bytes", self.len());
        self.start += n as u32;
        self.len -= n as u32;
    }

    /// Splits off the first `n` bytes. Both parts share the buffer; it is free when both are gone.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn split_to(&mut self, n: usize) -> Self {
        assert!(n <= self.len(), "cannot split at {n}: the lease has {} bytes", self.len());
        let refs = &self.header().refs;
        refs.set(refs.get() + 1);
        let head = Self { header: self.header, start: self.start, len: n as u32 };
        self.advance(n);
        head
    }

    /// Keeps only the first `n` bytes; does nothing if there are fewer.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// The bytes as [`Bytes`], which may travel to other threads. Those that are few, or few beside the
    /// buffer, are copied; others keep the buffer, and dropping them posts it home.
    pub fn into_bytes(self) -> Bytes {
        let few = self.len() <= COPY_MAX || self.len() < self.header().capacity as usize / 4;
        if few || self.header().refs.get() > 1 {
            return Bytes::copy_from_slice(&self);
        }
        let this = ManuallyDrop::new(self);
        let header = this.header();
        // SAFETY: `first` stored this count, this is the only part, and it is never dropped.
        let pool = unsafe { Rc::from_raw(header.pool.get()) };
        header.refs.set(0);
        let region = pool.region().clone();
        let (start, len) = (this.start as usize, this.len as usize);
        Bytes::from_owner(match &header.home {
            Home::Ring(id) => {
                Traveller { region, start, len, home: TravellerHome::Ring(*id, header.data) }
            }
            Home::Heap(_) => {
                // SAFETY: a heap header is a leaked box, and its only part is gone.
                let header = unsafe { Box::from_raw(this.header.as_ptr()) };
                let Home::Heap(block) = header.home else { unreachable!("matched above") };
                let block = ManuallyDrop::into_inner(block);
                Traveller { region, start, len, home: TravellerHome::Heap(block) }
            }
        })
    }

    /// Whether the bytes stand in the pool's ring, which has few buffers.
    pub(crate) fn in_ring(&self) -> bool {
        matches!(self.header().home, Home::Ring(_))
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes of a lease are initialized, start + len stays within the buffer, and
        // nobody writes into a lent buffer: the driver got it back only after the last part.
        let start = unsafe { self.header().data.add(self.start as usize) };
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len as usize) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let header = self.header();
        let left = header.refs.get() - 1;
        header.refs.set(left);
        if left > 0 {
            return;
        }
        // SAFETY: `first` stored this count; this was the last part, so it is taken back once. The
        // pool, and with it a ring header, lives at least until the end of this function.
        let pool = unsafe { Rc::from_raw(header.pool.get()) };
        match &header.home {
            Home::Ring(id) => pool.release_ring(*id),
            Home::Heap(_) => {
                // SAFETY: a heap header is a leaked box, and its last part ends here.
                let header = unsafe { Box::from_raw(self.header.as_ptr()) };
                if let Home::Heap(block) = header.home {
                    pool.release_heap(ManuallyDrop::into_inner(block));
                }
            }
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} bytes)", self.len)
    }
}

/// A buffer on its way through other threads; dropping it brings it home.
struct Traveller {
    region: Arc<Region>,
    start: usize,
    len: usize,
    home: TravellerHome,
}

enum TravellerHome {
    Ring(u16, NonNull<u8>),
    Heap(Block),
}

// SAFETY: a traveller is the only holder of its buffer, whose bytes nobody writes until it is home,
// and `Region` is shared behind an Arc with atomics and a lock.
unsafe impl Send for Traveller {}

impl AsRef<[u8]> for Traveller {
    fn as_ref(&self) -> &[u8] {
        match &self.home {
            TravellerHome::Ring(_, data) => {
                // SAFETY: as for the lease that it was; `region` keeps the mapping.
                let start = unsafe { data.add(self.start) };
                // SAFETY: as above.
                unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) }
            }
            TravellerHome::Heap(block) => &block[self.start..self.start + self.len],
        }
    }
}

impl Drop for Traveller {
    fn drop(&mut self) {
        match &self.home {
            TravellerHome::Ring(id, _) => self.region.post_ring(*id),
            TravellerHome::Heap(block) => self.region.post_heap(block.capacity()),
        }
    }
}
