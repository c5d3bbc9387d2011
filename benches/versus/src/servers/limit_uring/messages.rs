//! Messages: multishot receives into the buffer ring, each piece sent from where it lies.
//!
//! ```text
//! re-arm the starved → publish buffers → enter → sweep → publish the CQ head → answer quiet sends
//! ```
//!
//! A connection has one send under way; further pieces wait behind it in order. A quiet send posts a
//! completion only when it fails or falls short (it never waits in the kernel), so after the sweep
//! all others are done.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::Flags;
use io_uring::{IoUring, cqueue, opcode, types};

use super::pool::{BUFFERS, GROUP, Pool};
use super::{Op, Queue, accepted};
use crate::plan::Workload;

pub(super) fn serve(
    listener: TcpListener,
    ring: &mut IoUring,
    workload: Workload,
) -> io::Result<()> {
    let (submitter, sq, mut cq) = ring.split();
    let direct = workload.connections < 1000;
    let pool =
        Pool::new(&submitter).map_err(|error| super::super::no_ring("limit-uring", error))?;
    let mut this = Loop {
        queue: Queue::new(submitter, sq, direct),
        pool,
        listener: listener.as_raw_fd(),
        quiet: workload.connections == 1,
        connections: Vec::new(),
        pieces: [Piece { next: NONE, start: 0, end: 0 }; BUFFERS],
        starved: VecDeque::new(),
        asked: Vec::new(),
        unasked: Vec::new(),
        hurry: false,
    };
    this.queue.accept(this.listener)?;
    loop {
        this.enter()?;
        loop {
            cq.sync();
            for cqe in &mut cq {
                this.handle(cqe.user_data(), cqe.result(), cqe.flags())?;
            }
            // Publishes the head: without it the next enter would not wait.
            cq.sync();
            if !this.queue.sq.cq_overflow() {
                break;
            }
            this.queue.enter(0)?;
        }
        this.answer_quiet_sends()?;
    }
}

struct Loop<'a> {
    queue: Queue<'a>,
    pool: Pool,
    listener: RawFd,
    /// Sends are quiet.
    quiet: bool,
    /// By descriptor.
    connections: Vec<Connection>,
    /// By buffer id.
    pieces: [Piece; BUFFERS],
    /// Connections whose receive has ended and that have more to receive, the longest first.
    starved: VecDeque<u32>,
    /// Connections with a quiet send that the last enter took.
    asked: Vec<u32>,
    /// Connections with a quiet send that the next enter takes.
    unasked: Vec<u32>,
    /// Something waits for the answer to an unasked send: do not wait for a completion.
    hurry: bool,
}

#[derive(Clone, Copy)]
struct Connection {
    /// The piece that is being sent, and the last one behind it.
    first: u16,
    last: u16,
    /// The send under way is quiet.
    quiet: bool,
    /// Nothing more comes in, and no receive is armed.
    ended: bool,
    /// A send has failed: what comes in is dropped.
    broken: bool,
}

/// Received bytes of a buffer that are not sent yet.
#[derive(Clone, Copy)]
struct Piece {
    next: u16,
    start: u32,
    end: u32,
}

/// No piece.
const NONE: u16 = u16::MAX;

const NEW: Connection =
    Connection { first: NONE, last: NONE, quiet: false, ended: false, broken: false };

/// `IORING_RECVSEND_POLL_FIRST` and `IORING_RECV_MULTISHOT`.
const POLL_FIRST: u16 = 1;
const MULTISHOT: u16 = 2;

impl Loop<'_> {
    fn enter(&mut self) -> io::Result<()> {
        for _ in 0..self.starved.len().min(self.pool.free()) {
            let Some(connection) = self.starved.pop_front() else { break };
            self.receive(connection, 0)?;
        }
        self.hurry |= !self.starved.is_empty();
        self.pool.publish();
        let want = u32::from(!self.hurry || self.unasked.is_empty());
        self.hurry = false;
        std::mem::swap(&mut self.asked, &mut self.unasked);
        self.queue.enter(want)
    }

    fn handle(&mut self, data: u64, result: i32, flags: u32) -> io::Result<()> {
        let (op, connection) = Op::of(data);
        match op {
            Op::Quiet => Ok(()),
            Op::Accept => self.handle_accepted(result, flags),
            Op::Receive => self.handle_received(connection, result, flags),
            Op::Send => self.handle_sent(connection, result),
        }
    }

    fn handle_accepted(&mut self, result: i32, flags: u32) -> io::Result<()> {
        if let Some(connection) = accepted(result)? {
            let index = connection as usize;
            if self.connections.len() <= index {
                self.connections.resize(index + 1, NEW);
            }
            self.connections[index] = NEW;
            // The peer has hardly had the time to send.
            self.receive(connection, POLL_FIRST)?;
        }
        if !cqueue::more(flags) {
            self.queue.accept(self.listener)?;
        }
        Ok(())
    }

    fn handle_received(&mut self, connection: u32, result: i32, flags: u32) -> io::Result<()> {
        let state = &mut self.connections[connection as usize];
        let more = cqueue::more(flags);
        let ends = !more && result <= 0 && result != -libc::ENOBUFS;
        state.ended = ends;
        if let Some(id) = cqueue::buffer_select(flags) {
            self.pool.take();
            if result <= 0 || state.broken {
                self.pool.give_back(id);
            } else {
                self.pieces[usize::from(id)] = Piece { next: NONE, start: 0, end: result as u32 };
                if state.first == NONE {
                    (state.first, state.last) = (id, id);
                    self.send(connection, self.quiet)?;
                } else {
                    self.hurry |= state.quiet;
                    self.pieces[usize::from(state.last)].next = id;
                    state.last = id;
                }
            }
        }
        if ends {
            self.hurry |= self.connections[connection as usize].quiet;
            self.close_if_done(connection)?;
        } else if !more {
            self.starved.push_back(connection);
        }
        Ok(())
    }

    fn handle_sent(&mut self, connection: u32, result: i32) -> io::Result<()> {
        let state = &mut self.connections[connection as usize];
        let quiet = std::mem::take(&mut state.quiet);
        let piece = &mut self.pieces[usize::from(state.first)];
        match result {
            0.. => piece.start += result as u32,
            _ if quiet && result == -libc::EAGAIN => {}
            _ => return self.drop_output(connection),
        }
        if piece.start < piece.end {
            return self.send(connection, false);
        }
        self.pool.give_back(state.first);
        state.first = piece.next;
        if state.first == NONE {
            self.close_if_done(connection)
        } else {
            self.send(connection, self.quiet)
        }
    }

    /// The connection is broken: its receive ends by itself, helped by a shutdown.
    fn drop_output(&mut self, connection: u32) -> io::Result<()> {
        let state = &mut self.connections[connection as usize];
        state.broken = true;
        while state.first != NONE {
            self.pool.give_back(state.first);
            state.first = self.pieces[usize::from(state.first)].next;
        }
        if state.ended {
            return self.close_if_done(connection);
        }
        let shutdown = opcode::Shutdown::new(types::Fd(connection as i32), libc::SHUT_RDWR)
            .build()
            .user_data(Op::Quiet.data(0))
            .flags(self.queue.socket() | Flags::SKIP_SUCCESS);
        // SAFETY: points to nothing.
        unsafe { self.queue.push(&[shutdown]) }
    }

    fn answer_quiet_sends(&mut self) -> io::Result<()> {
        let mut asked = std::mem::take(&mut self.asked);
        for connection in asked.drain(..) {
            let state = self.connections[connection as usize];
            if state.quiet {
                let piece = self.pieces[usize::from(state.first)];
                self.handle_sent(connection, (piece.end - piece.start) as i32)?;
            }
        }
        // Keeps its memory.
        self.asked = asked;
        Ok(())
    }

    fn close_if_done(&mut self, connection: u32) -> io::Result<()> {
        let state = self.connections[connection as usize];
        if state.ended && state.first == NONE {
            return self.queue.close(connection);
        }
        Ok(())
    }

    fn receive(&mut self, connection: u32, flags: u16) -> io::Result<()> {
        let receive = opcode::Recv::new(types::Fd(connection as i32), std::ptr::null_mut(), 0)
            .ioprio(MULTISHOT | flags)
            .buf_group(GROUP)
            .build()
            .user_data(Op::Receive.data(connection))
            .flags(self.queue.socket() | Flags::BUFFER_SELECT);
        // SAFETY: the buffers come from the pool, whose memory stays.
        unsafe { self.queue.push(&[receive]) }
    }

    /// Sends the first piece; quietly if that may be and nothing waits behind it.
    fn send(&mut self, connection: u32, may_be_quiet: bool) -> io::Result<()> {
        let state = &mut self.connections[connection as usize];
        let piece = self.pieces[usize::from(state.first)];
        let quiet = may_be_quiet && piece.next == NONE && !state.ended;
        // SAFETY: within the buffer: `start <= end <= SIZE`.
        let bytes = unsafe { self.pool.bytes(state.first).add(piece.start as usize) };
        state.quiet = quiet;
        let mut flags = self.queue.socket();
        let mut message = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        if quiet {
            flags |= Flags::SKIP_SUCCESS;
            message |= libc::MSG_DONTWAIT;
            self.unasked.push(connection);
        }
        let send = opcode::Send::new(types::Fd(connection as i32), bytes, piece.end - piece.start)
            .flags(message)
            .build()
            .user_data(Op::Send.data(connection))
            .flags(flags);
        // SAFETY: the buffer goes back to the ring when the send is done, and its memory stays.
        unsafe { self.queue.push(&[send]) }
    }
}
