//! The pump: the task of a connection that calls its protocol.
//!
//! On each poll it looks, in this order, at: another protocol, the end by an abort, the marks, the end by a
//! close, what has come, a send that failed. After each callback it looks again, from the beginning.

use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::any::AnyProtocol;
use super::base::{Flow, Phase};
use super::callback::Callback;
use super::connect::has_ended;
use super::state::{State, Ways};
use super::{Eof, Transport};
use crate::buf::Lease;
use crate::net::Link;
use crate::note::{self, On};
use crate::task::{JoinHandle, Spawn, poll_proceed, report_error, spend};

/// Begins a connection: its protocol is called from the loop's next turn on.
///
/// # Panics
///
/// Outside a runtime.
pub(crate) fn start(
    link: Link,
    ways: Ways,
    protocol: AnyProtocol,
    name: Arc<str>,
    made_at: &'static Location<'static>,
) -> (Transport, JoinHandle<()>) {
    let transport = Transport(Rc::new(State::new(link, ways, made_at)));
    let pump = Pump {
        transport: transport.clone(),
        protocol: Some(protocol),
        rest: None,
        hangup: None,
        callback: Callback::ConnectionMade,
        eof: false,
        shut: false,
    };
    let task = Spawn::new().name(name).spawn_at(pump, made_at);
    (transport, task)
}

type Hangup = Pin<Box<dyn Future<Output = io::Result<()>>>>;

struct Pump {
    transport: Transport,
    /// `None` once the end was told.
    protocol: Option<AnyProtocol>,
    /// What a buffered protocol's memory had no room for.
    rest: Option<Lease>,
    /// Waits until the reader of a pipe has gone.
    hangup: Option<Hangup>,
    /// The one that runs, or ran last.
    callback: Callback,
    /// Set by the peer's last byte.
    eof: bool,
    /// Set once a close has ended receiving.
    shut: bool,
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.transport.0.running.set(true);
        let turn = catch_unwind(AssertUnwindSafe(|| this.turn(cx)));
        let end = match turn {
            Ok(Poll::Pending) => {
                this.transport.0.running.set(false);
                return Poll::Pending;
            }
            Ok(Poll::Ready(end)) => end,
            Err(payload) => Err(this.callback.caught(payload, this.transport.0.made_at)),
        };
        if end.is_err() {
            this.transport.0.link.discard();
        }
        this.finish(end);
        Poll::Ready(())
    }
}

impl Pump {
    /// Calls whatever is to be called now. How the connection has ended, if it has: after an error what was
    /// written is discarded.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { transport, protocol, rest, hangup, callback, eof, shut } = self;
        let (state, link) = (&*transport.0, &transport.0.link);
        let protocol = protocol.as_mut().expect("the pump is not polled after the end");
        if !state.made.get() {
            let _ = state.pump.set(cx.waker().clone());
            match state.ways {
                // From now on they are known for good.
                Ways::Both => _ = (link.peer_addr(), link.local_addr()),
                Ways::In => {}
                Ways::Out => *hangup = Some(wait_for_hangup(link.clone())),
            }
            state.made.set(true);
            *callback = Callback::ConnectionMade;
            protocol.connection_made(transport);
            state.begin();
        }
        loop {
            // The drop of one may set another.
            while let Some(next) = state.next.take() {
                *callback = Callback::Drop;
                *protocol = next;
            }
            let phase = state.phase.get();
            if matches!(phase, Phase::Aborted | Phase::Lost) {
                return Poll::Ready(Ok(()));
            }
            if phase == Phase::Closing && !std::mem::replace(shut, true) {
                *rest = None;
                link.shut();
            }
            match state.flow.get() {
                Flow::Free => {}
                Flow::Over => {
                    state.flow.set(Flow::Paused);
                    *callback = Callback::PauseWriting;
                    protocol.pause_writing(transport);
                    continue;
                }
                Flow::Paused => {
                    if let Poll::Ready(Ok(())) = link.poll_drained(cx, state.low.get()) {
                        state.flow.set(Flow::Free);
                        *callback = Callback::ResumeWriting;
                        protocol.resume_writing(transport);
                        continue;
                    }
                }
            }
            if phase == Phase::Closing {
                return link.poll_drained(cx, 0);
            }
            if let Some(waiting) = hangup
                && let Poll::Ready(gone) = waiting.as_mut().poll(cx)
            {
                *hangup = None;
                // What is no pipe may not show it.
                if gone.is_ok() {
                    if link.buffered() > 0 {
                        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                    }
                    state.close();
                    continue;
                }
            }
            if state.is_reading() && !*eof {
                match poll_come(cx, link, rest) {
                    Poll::Ready(Ok(Some(lease))) => {
                        *rest = deliver(lease, protocol, transport, callback)?;
                        continue;
                    }
                    Poll::Ready(Ok(None)) => {
                        *eof = true;
                        *callback = Callback::EofReceived;
                        let eof = protocol.eof_received(transport);
                        if eof == Eof::Close || state.ways == Ways::In {
                            state.close();
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            if *eof {
                note::waits("Transport::close", On::Nothing);
            } else if !state.is_reading() {
                note::waits("Transport::resume_reading", On::Nothing);
            }
            return link.poll_failed(cx).map(Err);
        }
    }

    /// Tells the end: the last callback.
    fn finish(&mut self, end: io::Result<()>) {
        let state = self.transport.0.clone();
        state.phase.set(Phase::Lost);
        (self.rest, self.hangup) = (None, None);
        let (mut protocol, mut old) = (self.protocol.take(), state.next.take());
        if old.is_some() {
            std::mem::swap(&mut protocol, &mut old);
        }
        if let Some(protocol) = &mut protocol
            && state.made.get()
        {
            let lost = || protocol.connection_lost(end.err());
            Callback::ConnectionLost.contain(state.made_at, lost);
        }
        state.link.close();
        Callback::Drop.contain(state.made_at, || drop(old));
        Callback::Drop.contain(state.made_at, || drop(protocol));
        state.begin();
        state.ended.set();
    }
}

impl Drop for Pump {
    /// Before the end of the connection it is the runtime's end, which sends what was written.
    fn drop(&mut self) {
        if self.protocol.is_some() {
            self.finish(Err(has_ended()));
        }
    }
}

fn wait_for_hangup(link: Link) -> Hangup {
    Box::pin(async move { link.hangup().await })
}

/// The next piece that has come, what is left of the last one first; `None` is the peer's end.
fn poll_come(
    cx: &Context<'_>,
    link: &Link,
    rest: &mut Option<Lease>,
) -> Poll<io::Result<Option<Lease>>> {
    if rest.is_none() {
        return link.poll_chunk(cx);
    }
    ready!(poll_proceed(cx));
    spend();
    Poll::Ready(Ok(rest.take()))
}

/// Gives a piece to the protocol: what it had no memory for.
fn deliver(
    mut lease: Lease,
    protocol: &mut AnyProtocol,
    transport: &Transport,
    callback: &mut Callback,
) -> io::Result<Option<Lease>> {
    match protocol {
        AnyProtocol::Plain(protocol) => {
            *callback = Callback::DataReceived;
            protocol.data_received(transport, &lease);
            Ok(None)
        }
        AnyProtocol::Buffered(protocol) => {
            *callback = Callback::GetBuffer;
            let into = protocol.get_buffer(lease.len());
            if !transport.is_reading() {
                // It has closed, or paused.
                return Ok(Some(lease));
            }
            let n = into.len().min(lease.len());
            if n == 0 {
                let error = io::Error::other("get_buffer gave memory of no bytes");
                report_error("a protocol failed", &error, transport.0.made_at);
                return Err(error);
            }
            into[..n].copy_from_slice(&lease[..n]);
            lease.advance(n);
            *callback = Callback::BufferUpdated;
            protocol.buffer_updated(transport, n);
            Ok((!lease.is_empty()).then_some(lease))
        }
    }
}
