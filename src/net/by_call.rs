//! Streams that are no sockets: their bytes go by calls, within the poll or the flush.
//!
//! ```text
//!   in     readiness ──► read(2) that does not wait ──► the reader's slice, or the inbox
//!   out    outbox ──flush, once a turn──► write(2) that does not wait ──no room──► readiness, again
//! ```
//!
//! A receive of a socket goes by the driver's queue because the kernel can be told where to put bytes that
//! have not come yet, and be stopped without losing any. A pipe knows neither, and a write of io_uring's
//! to a broken one raises SIGPIPE (`uring-sys-notes/send.md`). So nothing of a pipe's is ever in flight
//! but a poll, and the inbox, the outbox, their limits and their errors are those of a socket.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::direct::MOST;
use super::socket::{SEND, Socket};
use crate::op::{Call, Completion, Request, Way};
use crate::runtime::{Waiting, Wakes};
use crate::sys::pipe::{Description, Kind};

/// What is known of a stream that is no socket.
#[derive(Debug)]
pub(super) struct Pipe {
    way: Cell<Way>,
    /// Whether a write can say for itself that it raises no SIGPIPE; cleared where the kernel knows it not.
    quiet: Cell<bool>,
    pub(super) kind: Kind,
    /// Whether the runtime has made the descriptor, with its flags.
    pub(super) ours: bool,
}

impl Pipe {
    /// One that was made here, non-blocking.
    pub(super) fn ours(kind: Kind) -> Self {
        Self { way: Cell::new(Way::Plain), quiet: Cell::new(true), kind, ours: true }
    }

    /// One of somebody's, whose flags stay as they are.
    pub(super) fn foreign(description: Description) -> Self {
        let way = if description.kind == Kind::File { Way::Plain } else { Way::Flag };
        Self { way: Cell::new(way), quiet: Cell::new(true), kind: description.kind, ours: false }
    }

    /// Goes without what a call has asked for in vain. False: it has asked for nothing.
    fn do_without(&self, error: &io::Error, writes: bool) -> bool {
        if !matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) {
            return false;
        }
        if writes && self.quiet.get() {
            self.quiet.set(false);
        } else if self.way.get() == Way::Flag {
            self.way.set(Way::Asked);
            self.quiet.set(true);
        } else {
            return false;
        }
        true
    }
}

impl Socket {
    /// Reads what has come.
    pub(super) fn read_by_call(&self, pipe: &Pipe, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let call = Call::ReadStream { fd: self.fd.raw(), into, way: pipe.way.get() };
            match self.core().call_directly(call) {
                Err(error) if pipe.do_without(&error, false) => {}
                // How a terminal says that the last program on it has gone.
                Err(error)
                    if pipe.kind == Kind::Master && error.raw_os_error() == Some(libc::EIO) =>
                {
                    return Ok(0);
                }
                result => return result,
            }
        }
    }

    /// Writes what there is room for.
    pub(super) fn write_by_call(&self, pipe: &Pipe, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let (way, quiet) = (pipe.way.get(), pipe.quiet.get());
            let call = Call::WriteStream { fd: self.fd.raw(), slices, way, quiet };
            match self.core().call_directly(call) {
                Err(error) if pipe.do_without(&error, true) => {}
                result => return result,
            }
        }
    }

    /// Writes what the outbox holds, as far as there is room: [`MOST`] bytes at most, for others wait.
    pub(super) fn write_out(self: &Rc<Self>, pipe: &Pipe, wakes: &mut Wakes) {
        let core = self.core();
        let mut outbox = self.outbox.borrow_mut();
        if !outbox.wants_flush() {
            return;
        }
        let (mut calls, mut moved) = (0, 0);
        let mut failed = None;
        while !outbox.is_empty() && calls < CALLS && moved < MOST {
            calls += 1;
            let (wrote, asked) = outbox.gather(|slices| self.write_by_call(pipe, slices));
            match wrote {
                Ok(n @ 1..) => {
                    outbox.went(n, core.spares());
                    moved += n;
                    if n < asked && pipe.way.get() != Way::Asked {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A device that takes nothing.
                Ok(_) => failed = Some(libc::EIO),
                // Without an errno the runtime has ended.
                Err(error) => failed = Some(error.raw_os_error().unwrap_or(libc::ENOTCONN)),
            }
            if let Some(errno) = failed {
                outbox.fail(errno, core.spares());
            }
        }
        if !outbox.is_empty() {
            let request = Request::Poll { fd: self.fd.raw(), events: libc::POLLOUT as u32 };
            match core.submit(request, Waiting::Sink(self.clone(), SEND)) {
                Ok(token) => outbox.sent(token),
                Err(_ended) => outbox.fail(libc::ENOTCONN, core.spares()),
            }
        }
        let empty = outbox.is_empty();
        if moved > 0 || empty {
            wakes.extend(outbox.take_writers());
        }
        if outbox.has_failed() {
            wakes.extend(outbox.watcher.take());
        }
        drop(outbox);
        if empty {
            self.emptied();
        }
    }

    /// There is room, or an error that the next write names.
    pub(super) fn settle_room(
        self: &Rc<Self>,
        pipe: &Pipe,
        completion: Completion,
        wakes: &mut Wakes,
    ) {
        let spares = self.core().spares();
        let mut outbox = self.outbox.borrow_mut();
        outbox.waited();
        match completion.errno() {
            ..=0 | libc::EINTR | libc::EAGAIN => {}
            errno => outbox.fail(errno, spares),
        }
        if !outbox.has_failed() {
            drop(outbox);
            return self.write_out(pipe, wakes);
        }
        // What was kept because something was in flight.
        outbox.fail(libc::EIO, spares);
        wakes.extend(outbox.take_writers());
        wakes.extend(outbox.watcher.take());
        drop(outbox);
        self.emptied();
    }
}

/// Calls of one flush, at most, where each takes little.
const CALLS: usize = 16;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use crate::net::{Link, pipe};

    // Seen to fail when a link's end of writing was a shutdown of the pipe, which has none.
    #[test]
    fn the_end_of_writing_of_a_link_is_the_close_behind_the_last_byte() {
        crate::runtime::run(async {
            let (mut reader, writer) = pipe().unwrap();
            let link = Link::from(writer);
            let bytes = vec![7; 1 << 20];
            link.put(&bytes).unwrap();
            link.put(b"end").unwrap();
            assert!(link.buffered() > 64 << 10, "nobody reads");
            link.write_eof().unwrap();
            assert!(link.is_closed());
            let mut all = Vec::new();
            while let Some(chunk) = reader.read_chunk().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            assert_eq!((all.len(), &all[1 << 20..]), ((1 << 20) + 3, &b"end"[..]));
            link.closed().await.unwrap();
            assert_eq!(link.buffered(), 0);
        });
    }

    #[test]
    fn a_link_hears_that_its_reader_has_gone_and_drains_below_a_mark() {
        crate::runtime::run(async {
            let (reader, writer) = pipe().unwrap();
            let (from, to) = (Link::from(reader), Link::from(writer));
            to.put(&vec![7; 300_000]).unwrap();
            let reading = crate::task::spawn(async move {
                let mut all = 0;
                while all < 250_000 {
                    all += poll_fn(|cx| from.poll_chunk(cx)).await.unwrap().unwrap().len();
                }
                from
            });
            poll_fn(|cx| to.poll_drained(cx, 100_000)).await.unwrap();
            assert!(to.buffered() <= 100_000);
            reading.await.unwrap().close();
            to.hangup().await.unwrap();
            to.put(&vec![7; 300_000]).unwrap_err();
            to.close();
            let error = to.closed().await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        });
    }
}
