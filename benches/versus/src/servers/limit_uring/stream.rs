//! Streams: each connection has one buffer of 256 KiB, received into and sent from in turn.
//!
//! The receive is linked behind the send, so the buffer is free when it starts, and a send that went
//! well posts no completion: one a message. MSG_WAITALL has the kernel send all; if it cannot, the
//! link breaks and the receive ends with ECANCELED.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, cqueue, opcode, types};

use super::{Op, Queue, accepted};

pub(super) fn serve(listener: TcpListener, ring: &mut IoUring) -> io::Result<()> {
    let (submitter, sq, mut cq) = ring.split();
    let mut this = Loop { queue: Queue::new(submitter, sq, true), buffers: Vec::new() };
    this.queue.accept(listener.as_raw_fd())?;
    loop {
        this.queue.enter(1)?;
        cq.sync();
        for cqe in &mut cq {
            let (op, connection) = Op::of(cqe.user_data());
            match op {
                Op::Accept => {
                    if let Some(connection) = accepted(cqe.result())? {
                        this.start(connection)?;
                    }
                    if !cqueue::more(cqe.flags()) {
                        this.queue.accept(listener.as_raw_fd())?;
                    }
                }
                Op::Receive => match cqe.result() {
                    n @ 1.. => this.echo(connection, n as u32)?,
                    _ => this.queue.close(connection)?,
                },
                // Only a failure: the receive behind it says so too.
                Op::Send | Op::Quiet => {}
            }
        }
        // Publishes the head: without it the next enter would not wait.
        cq.sync();
    }
}

struct Loop<'a> {
    queue: Queue<'a>,
    /// By descriptor; never freed, because the kernel may write to one to the end.
    buffers: Vec<Option<&'static mut [u8; BUFFER]>>,
}

const BUFFER: usize = 256 << 10;
/// `IORING_RECVSEND_POLL_FIRST`.
const POLL_FIRST: u16 = 1;

impl Loop<'_> {
    fn start(&mut self, connection: u32) -> io::Result<()> {
        let index = connection as usize;
        if self.buffers.len() <= index {
            self.buffers.resize_with(index + 1, || None);
        }
        self.buffers[index].get_or_insert_with(|| {
            let buffer = vec![0; BUFFER].into_boxed_slice().try_into();
            Box::leak(buffer.expect("of this length"))
        });
        let receive = self.receive(connection);
        // SAFETY: into the connection's buffer, which stays.
        unsafe { self.queue.push(&[receive]) }
    }

    fn echo(&mut self, connection: u32, len: u32) -> io::Result<()> {
        let send = opcode::Send::new(types::Fd(connection as i32), self.buffer(connection), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(Op::Send.data(connection))
            .flags(self.queue.socket() | Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let receive = self.receive(connection);
        // SAFETY: both with the connection's buffer, one after the other; it stays.
        unsafe { self.queue.push(&[send, receive]) }
    }

    fn receive(&mut self, connection: u32) -> Entry {
        let buffer = self.buffer(connection);
        opcode::Recv::new(types::Fd(connection as i32), buffer, BUFFER as u32)
            .ioprio(POLL_FIRST)
            .build()
            .user_data(Op::Receive.data(connection))
            .flags(self.queue.socket())
    }

    fn buffer(&mut self, connection: u32) -> *mut u8 {
        let buffer = self.buffers[connection as usize].as_mut();
        buffer.expect("a connection that was started").as_mut_ptr()
    }
}
