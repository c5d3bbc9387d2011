//! What io_uring allows: a loop without tasks. One multishot `recvmsg` fills a ring of buffers; the answers
//! leave from there by `sendmsg` entries, in segments where the kernel had put datagrams together.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue, opcode, types};
use nix::sys::socket::{setsockopt, sockopt};

const COUNT: usize = 64;
/// A head and the longest datagram; no power of two, for the sake of the cache.
const SIZE: usize = 65_728;
const NAME: usize = 32;
const CONTROL: usize = 112;
/// What io_uring puts before a datagram: four integers, the name, control messages.
const HEAD: usize = 16 + NAME + CONTROL;
const RECEIVE: u64 = u64::MAX;

/// All of it lives as long as the process, and so as long as any request.
struct Memory {
    buffers: Vec<u8>,
    ring: *mut BufRingEntry,
    tail: u16,
    headers: Vec<libc::msghdr>,
    slices: Vec<libc::iovec>,
    controls: Vec<[u64; 3]>,
}

impl Memory {
    fn new() -> Self {
        let layout = std::alloc::Layout::from_size_align(COUNT * size_of::<BufRingEntry>(), 4096);
        let layout = layout.expect("it is a page");
        // SAFETY: the layout is not of zero bytes; zeroes are an empty ring.
        let ring = unsafe { std::alloc::alloc_zeroed(layout) }.cast();
        // SAFETY: pointers and integers: all zeroes is an empty header, and an empty slice.
        let (header, slice) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            buffers: vec![0; COUNT * SIZE],
            ring,
            tail: 0,
            headers: vec![header; COUNT],
            slices: vec![slice; COUNT],
            controls: vec![[0; 3]; COUNT],
        }
    }

    /// Puts a buffer into the ring; it counts from the next [`publish`](Self::publish) on.
    fn give(&mut self, id: u16) {
        let start = self.buffers[usize::from(id) * SIZE..].as_ptr();
        // SAFETY: the index is below the count that the ring was made for; this entry is not published.
        let entry = unsafe { &mut *self.ring.add(usize::from(self.tail) & (COUNT - 1)) };
        entry.set_addr(start as u64);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail is a field of the first entry, which only atomics touch.
        let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// The entry that sends back what stands in a buffer.
    fn answer(&mut self, fd: types::Fd, id: u16, len: usize) -> io_uring::squeue::Entry {
        let index = usize::from(id);
        let message = &mut self.buffers[index * SIZE..][..HEAD + len];
        let word = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        let (name, control) = (word(0), word(4) as usize);
        // The only control message that was asked for: an integer behind its 16 bytes of head.
        let size = if control >= 20 { word(16 + NAME + 16) as usize } else { 0 };
        self.slices[index] =
            libc::iovec { iov_base: message[HEAD..].as_mut_ptr().cast(), iov_len: len };
        let header = &mut self.headers[index];
        header.msg_name = message[16..].as_mut_ptr().cast();
        header.msg_namelen = name;
        header.msg_iov = &raw mut self.slices[index];
        header.msg_iovlen = 1;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        if size > 0 && size < len {
            let kind = (libc::UDP_SEGMENT as u64) << 32 | libc::SOL_UDP as u64;
            self.controls[index] = [18, kind, size as u64];
            header.msg_control = self.controls[index].as_mut_ptr().cast();
            header.msg_controllen = 24;
        }
        opcode::SendMsg::new(fd, &raw const self.headers[index]).build().user_data(u64::from(id))
    }
}

pub(crate) fn serve(socket: &UdpSocket) -> io::Result<()> {
    setsockopt(socket, sockopt::UdpGroSegment, &true)?;
    let fd = types::Fd(socket.as_raw_fd());
    let mut builder = IoUring::builder();
    let builder = builder.setup_single_issuer().setup_defer_taskrun().setup_cqsize(4096);
    let mut ring: IoUring = builder.build(256)?;
    let mut memory = Memory::new();
    // SAFETY: the ring of buffers is a page of its own, and stays.
    unsafe {
        let start = memory.ring as u64;
        ring.submitter().register_buf_ring_with_flags(start, COUNT as u16, 0, 0)?;
    }
    (0..COUNT as u16).for_each(|id| memory.give(id));
    memory.publish();
    // SAFETY: as in `Memory::new`.
    let mut reserved: libc::msghdr = unsafe { std::mem::zeroed() };
    reserved.msg_namelen = NAME as u32;
    reserved.msg_controllen = CONTROL;
    let receive = opcode::RecvMsgMulti::new(fd, &raw const reserved, 0).build().user_data(RECEIVE);
    // SAFETY: the header stays until the process ends.
    unsafe { ring.submission().push(&receive) }.map_err(io::Error::other)?;
    let mut came = Vec::with_capacity(4096);
    loop {
        ring.submit_and_wait(1)?;
        came.extend(ring.completion().map(|c| (c.user_data(), c.result(), c.flags())));
        let mut again = false;
        for (data, result, flags) in came.drain(..) {
            if data != RECEIVE {
                memory.give(data as u16);
                continue;
            }
            again |= !cqueue::more(flags);
            let Some(id) = cqueue::buffer_select(flags).filter(|_| result >= 0) else { continue };
            let entry = memory.answer(fd, id, result as usize - HEAD);
            // SAFETY: what it points to stands in `memory`, unmoved, until its completion gives the
            // buffer back.
            while unsafe { ring.submission().push(&entry) }.is_err() {
                ring.submit()?;
            }
        }
        memory.publish();
        if again {
            // SAFETY: as above.
            unsafe { ring.submission().push(&receive) }.map_err(io::Error::other)?;
        }
    }
}
