//! The requests of the steps, and what is compared of their results.

use nix::errno::Errno;

use super::steps::{At, Show, Step, Thing, To};
use super::world::World;
use crate::buf::Message;
use crate::driver::contract::SIZE;
use crate::op::{Into, Request, Token};

/// A request in flight.
pub(super) struct Op {
    pub(super) token: Token,
    pub(super) thing: Option<Thing>,
    pub(super) request: Request,
    pub(super) cancelled: bool,
    /// Where it receives, and what it sends from where that is not static.
    pub(super) buf: Vec<u8>,
    pub(super) _message: Option<Box<Message>>,
}

/// A step's request: what it works on, and where it receives. The error is a rule that forbids it.
pub(super) fn request(
    world: &mut World,
    step: Step,
    totals: bool,
) -> Result<(Option<Thing>, Request, Vec<u8>), &'static str> {
    // Rule 9.
    let offset = |thing: Thing, at: At| {
        at.filter(|&at| at == 0 || !thing.is_socket()).unwrap_or(Request::POSITION)
    };
    let mut buf = Vec::new();
    let mut room = |len: u32| {
        buf = vec![0; len as usize];
        buf.as_mut_ptr()
    };
    let fd = |world: &mut World, thing| world.end(thing).ours;
    let (thing, request) = match step {
        Step::Nop => (None, Request::Nop),
        Step::Recv(thing, len) => {
            let into = Into::At { ptr: room(len), len };
            (Some(thing), Request::Recv { fd: fd(world, thing), into, multi: false, total: 0 })
        }
        Step::RecvPool(thing) => {
            let (fd, into) = (fd(world, thing), Into::Group);
            (Some(thing), Request::Recv { fd, into, multi: false, total: 0 })
        }
        Step::RecvMsg(thing) => (Some(thing), Request::RecvMsg { fd: fd(world, thing) }),
        Step::Stream(thing, total) => {
            let (fd, total) = (fd(world, thing), if totals { total } else { 0 });
            (Some(thing), Request::Recv { fd, into: Into::Group, multi: true, total })
        }
        // Rule 8.
        Step::Write(Thing::Event, 0, _) | Step::Read(Thing::Dir, 0, _) => {
            return Err("never");
        }
        // Rule 14.
        Step::Read(thing @ Thing::PipeIn, 0, _)
        | Step::Read(thing @ Thing::Listener, ..)
        | Step::Write(thing @ Thing::Listener, ..)
            if !world.end(thing).prompt =>
        {
            return Err("never here");
        }
        Step::Read(thing, len, at) => {
            let (fd, ptr, offset) = (fd(world, thing), room(len), offset(thing, at));
            (Some(thing), Request::Read { fd, ptr, len, offset })
        }
        Step::Write(thing, len, at) => {
            let (fd, ptr) = (fd(world, thing), world.end(thing).next(len).as_ptr());
            (Some(thing), Request::Write { fd, ptr, len, offset: offset(thing, at) })
        }
        Step::Send(thing, len) | Step::Quiet(thing, len) => {
            let end = world.end(thing);
            // Rule 5.
            let room = !end.big && end.unread < 8;
            let quiet = matches!(step, Step::Quiet(..)) && room;
            let ptr = end.next(len).as_ptr();
            (Some(thing), Request::Send { fd: end.ours, ptr, len, quiet })
        }
        Step::SendMsg(thing, len) if world.end(thing).half => {
            let end = world.end(thing);
            let ptr = end.next(len).as_ptr();
            (Some(thing), Request::Send { fd: end.ours, ptr, len, quiet: false })
        }
        Step::SendMsg(thing, _) => {
            let fd = fd(world, thing);
            (Some(thing), Request::SendMsg { fd, message: std::ptr::null() })
        }
        Step::Accept(thing) => {
            (Some(thing), Request::Accept { fd: fd(world, thing), multi: false })
        }
        Step::AcceptAll(thing) => {
            (Some(thing), Request::Accept { fd: fd(world, thing), multi: true })
        }
        Step::Connect(thing, to) => {
            let fd = fd(world, thing);
            let address = match to {
                To::Listener if world.end(Thing::Listener).ours >= 0 => &world.listener,
                _ => &world.nobody,
            };
            (Some(thing), Request::Connect { fd, address: address.as_ptr(), len: address.len() })
        }
        Step::Open(path) => {
            let (path, flags) = world.path(path);
            (None, Request::Open { path, flags, mode: 0o640 })
        }
        Step::Sync(thing, data_only) => {
            (Some(thing), Request::Sync { fd: fd(world, thing), data_only })
        }
        Step::Poll(thing, show) => {
            let events = match show {
                Show::Nothing => 0,
                Show::In => libc::POLLIN,
                Show::Out => libc::POLLOUT,
                Show::InOut => libc::POLLIN | libc::POLLOUT,
                Show::Pri => libc::POLLPRI,
            };
            (Some(thing), Request::Poll { fd: fd(world, thing), events: events as u32 })
        }
        other => unreachable!("{other:?} is no request"),
    };
    Ok((thing, request, buf))
}

impl Op {
    /// Whether its end waits for nobody.
    pub(super) fn ends_by_itself(&self) -> bool {
        match self.request {
            Request::Nop | Request::Open { .. } | Request::Close { .. } | Request::Sync { .. } => {
                true
            }
            Request::Read { .. } | Request::Write { .. } => {
                self.thing.is_some_and(Thing::never_waits)
            }
            _ => false,
        }
    }

    pub(super) fn connects(&self) -> bool {
        matches!(self.request, Request::Connect { .. })
    }

    /// Its result, in the words that are compared.
    pub(super) fn ended(&self, result: i32) -> String {
        match self.request {
            Request::Accept { .. } | Request::Open { .. } if result >= 0 => "with it".into(),
            // Rules 2 and 3.
            Request::Send { .. } | Request::SendMsg { .. }
                if self.cancelled && result < length(&self.request, &self.buf) as i32 =>
            {
                "cancelled".into()
            }
            Request::Send { .. } | Request::SendMsg { .. }
                if result > 0 && (result as usize) < length(&self.request, &self.buf) =>
            {
                "halfway".into()
            }
            // Rule 3.
            Request::Read { .. } | Request::Send { .. }
                if self.cancelled && result == -libc::EINTR =>
            {
                format!("{:?}", Errno::ECANCELED)
            }
            _ if result < 0 => format!("{:?}", Errno::from_raw(-result)),
            _ => result.to_string(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

pub(super) fn side(request: &Request) -> Option<Side> {
    match request {
        Request::Read { .. }
        | Request::Recv { .. }
        | Request::RecvMsg { .. }
        | Request::Accept { .. } => Some(Side::Read),
        Request::Write { .. }
        | Request::Send { .. }
        | Request::SendMsg { .. }
        | Request::Connect { .. } => Some(Side::Write),
        _ => None,
    }
}

/// How much a request moves at most; a message has a buffer of its length.
pub(super) fn length(request: &Request, buf: &[u8]) -> usize {
    match *request {
        Request::Write { len, .. } | Request::Send { len, .. } => len as usize,
        Request::Recv { into: Into::Group, .. } | Request::RecvMsg { .. } => SIZE,
        Request::SendMsg { .. } | Request::Recv { .. } | Request::Read { .. } => buf.len(),
        Request::Accept { .. } | Request::Connect { .. } => 1,
        _ => 0,
    }
}

/// The syscall of a request.
pub(super) fn kind(request: &Request) -> u8 {
    match request {
        Request::Read { .. } | Request::Write { .. } => 0,
        Request::Recv { .. }
        | Request::RecvMsg { .. }
        | Request::Send { .. }
        | Request::SendMsg { .. } => 1,
        _ => 2,
    }
}
