//! The hand-written loop on io_uring: no tasks, no wakers, the best technique known for each workload.
//!
//! Always: SINGLE_ISSUER and DEFER_TASKRUN, a registered ring descriptor, multishot accept, one enter
//! a turn.
//!
//! | workload | technique | why |
//! |---|---|---|
//! | one connection | multishot receive, direct descriptors, quiet sends | nothing waits behind a send, so its completion is work for nothing |
//! | 50 connections | multishot receive, direct descriptors | no file reference is taken for each operation |
//! | 1,000 connections | multishot receive, ordinary descriptors | direct ones cost here |
//! | connect, echo, close | as with 50 connections | the receive that echoed also tells of the end |
//! | streams | [`stream`]: one-shot receive behind the send, 256 KiB | small pieces and large rings walk through the cache |

use std::io;
use std::net::TcpListener;

use io_uring::squeue::{Entry, Flags};
use io_uring::{EnterFlags, IoUring, SubmissionQueue, Submitter, opcode, types};

use crate::plan::Workload;

mod messages;
mod pool;
mod stream;

pub(super) fn serve(listener: TcpListener, workload: Workload) -> io::Result<()> {
    // A nonblocking descriptor would end operations with EAGAIN that ought to wait.
    listener.set_nonblocking(false)?;
    let mut ring = build().map_err(|error| super::no_ring("limit-uring", error))?;
    if workload.streams() {
        stream::serve(listener, &mut ring)
    } else {
        messages::serve(listener, &mut ring, workload)
    }
}

const SQ_ENTRIES: u32 = 256;
const CQ_ENTRIES: u32 = 4096;

/// With the flags of the newest kernels, and without them where they are not known.
fn build() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(CQ_ENTRIES).setup_submit_all();
    builder.setup_single_issuer().setup_defer_taskrun();
    builder
        .build(SQ_ENTRIES)
        .or_else(|_| IoUring::builder().setup_cqsize(CQ_ENTRIES).build(SQ_ENTRIES))
}

/// What a completion is about: the operation, and the connection by its descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Op {
    /// A completion that nobody waits for.
    Quiet,
    Accept,
    Receive,
    Send,
}

impl Op {
    fn data(self, connection: u32) -> u64 {
        (self as u64) << 32 | u64::from(connection)
    }

    fn of(data: u64) -> (Self, u32) {
        let op = match data >> 32 {
            1 => Self::Accept,
            2 => Self::Receive,
            3 => Self::Send,
            _ => Self::Quiet,
        };
        (op, data as u32)
    }
}

/// The way into the kernel. The completion queue stays with the loop that sweeps it.
struct Queue<'a> {
    submitter: Submitter<'a>,
    sq: SubmissionQueue<'a>,
    /// Accepted sockets have direct descriptors: no entry in the process's table.
    direct: bool,
}

impl<'a> Queue<'a> {
    fn new(mut submitter: Submitter<'a>, sq: SubmissionQueue<'a>, direct: bool) -> Self {
        // Spares each enter a look-up of the descriptor; old kernels have none.
        _ = submitter.register_ring_fd();
        let direct = direct && submitter.register_files_sparse(DIRECT).is_ok();
        Self { submitter, sq, direct }
    }

    /// Submits, and waits for `want` completions.
    fn enter(&mut self, want: u32) -> io::Result<()> {
        loop {
            self.sq.sync();
            let len = self.sq.len() as u32;
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: no argument.
            let entered = unsafe { self.submitter.enter::<()>(len, want, flags, None) };
            self.sq.sync();
            match entered {
                // An enter that could not take all does not wait.
                Ok(_) if !self.sq.is_empty() => {}
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => return Ok(()),
            }
        }
    }

    /// # Safety
    ///
    /// What the entries point to stays until they are complete.
    unsafe fn push(&mut self, entries: &[Entry]) -> io::Result<()> {
        // SAFETY: the caller's.
        while unsafe { self.sq.push_multiple(entries) }.is_err() {
            self.sq.sync();
            self.submitter.submit()?;
            self.sq.sync();
        }
        Ok(())
    }

    /// The flag of operations on accepted sockets.
    fn socket(&self) -> Flags {
        if self.direct { Flags::FIXED_FILE } else { Flags::empty() }
    }

    fn accept(&mut self, listener: i32) -> io::Result<()> {
        let accept = opcode::AcceptMulti::new(types::Fd(listener))
            .allocate_file_index(self.direct)
            .flags(if self.direct { 0 } else { libc::SOCK_CLOEXEC })
            .build()
            .user_data(Op::Accept.data(0));
        // SAFETY: points to nothing.
        unsafe { self.push(&[accept]) }
    }

    fn close(&mut self, connection: u32) -> io::Result<()> {
        let close = if self.direct {
            opcode::Close::new(types::Fixed(connection)).build()
        } else {
            opcode::Close::new(types::Fd(connection as i32)).build()
        };
        // SAFETY: points to nothing.
        unsafe { self.push(&[close.user_data(Op::Quiet.data(0)).flags(Flags::SKIP_SUCCESS)]) }
    }
}

/// Slots for direct descriptors.
const DIRECT: u32 = 1024;

/// The descriptor of a new connection; `None` if it was gone already.
fn accepted(result: i32) -> io::Result<Option<u32>> {
    match result {
        0.. => Ok(Some(result as u32)),
        _ if [libc::ECONNABORTED, libc::EINTR, libc::EAGAIN].contains(&-result) => Ok(None),
        _ => Err(io::Error::from_raw_os_error(-result)),
    }
}
