//! Connections that carry one message each: connect, echo, close.
//!
//! Each place opens a connection, sends, has its echo, closes, and opens the next. The peer that
//! closes first, here the load generator, keeps the pair of ports for a minute (TIME_WAIT): the
//! places take turns with source addresses of the loopback network, which has enough of them for
//! every port of a run to be new. A reset would avoid it, and would spare the server the very work
//! of ending a connection that is measured here.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use crate::child::Target;
use crate::meter::{Meter, Phase, Until, Window};
use crate::pattern::{Pattern, Track};
use crate::plan::Workload;

/// Source addresses, from 127.0.0.2 on: with 28,000 ports each, more than a minute's connections.
const SOURCES: u64 = 200;

/// As [`load::run`](crate::load::run).
pub(crate) fn run(
    server: Target,
    workload: Workload,
    until: Until,
) -> io::Result<(u64, Option<Window>)> {
    let pattern = Pattern::new();
    let (track, size) = (pattern.track(0), workload.size);
    let mut buffer = vec![0; size + 1];
    let mut meter = Meter::new(server, until);
    let mut opened = 0;
    let mut open = || {
        opened += 1;
        Place::open(server.address, opened, track, size)
    };
    let mut places = Vec::with_capacity(workload.connections);
    for _ in 0..workload.connections {
        places.push(open()?);
    }
    let mut found = Vec::with_capacity(places.len());
    while !places.is_empty() {
        let from = Instant::now();
        let mut polled: Vec<PollFd<'_>> = places
            .iter()
            .map(|place| PollFd::new(place.stream.as_fd(), PollFlags::POLLIN))
            .collect();
        poll(&mut polled, PollTimeout::ZERO)?;
        found.clear();
        found.extend(polled.iter().map(|polled| polled.any() != Some(false)));
        let phase = meter.asked(from, Instant::now())?;

        // From the end: a place that is given up is filled with one that had its turn.
        for i in (0..places.len()).rev().filter(|&i| found[i]) {
            if !places[i].receive(track, size, &mut buffer)? {
                continue;
            }
            meter.answered(places[i].begun, Instant::now());
            if phase == Phase::Drain {
                places.swap_remove(i);
            } else {
                // Closed first, so that there are never more than there are places.
                places.swap_remove(i);
                places.push(open()?);
            }
        }
    }
    Ok(meter.finish())
}

/// One of the connections that are open at a time.
struct Place {
    stream: TcpStream,
    number: u64,
    begun: Instant,
    received: usize,
}

impl Place {
    /// Connects, and sends the message.
    fn open(to: SocketAddrV4, number: u64, track: Track<'_>, size: usize) -> io::Result<Self> {
        let begun = Instant::now();
        let opened = connect(to, number).and_then(|mut stream| {
            stream.write_all(track.piece(number * size as u64, size))?;
            Ok(Self { stream, number, begun, received: 0 })
        });
        opened.map_err(|error| about(number, error))
    }

    /// Takes in what has come. True: the echo is complete, and right.
    fn receive(&mut self, track: Track<'_>, size: usize, buffer: &mut [u8]) -> io::Result<bool> {
        // One byte of room too many shows an echo that is too long.
        let n = self.stream.read(buffer).map_err(|error| about(self.number, error))?;
        let missing = size - self.received;
        let wrong = match n {
            0 => format!("the server ended it with {missing} bytes missing"),
            _ if n > missing => "more bytes came back than were sent".into(),
            _ => {
                let at = self.number * size as u64 + self.received as u64;
                self.received += n;
                match track.check(at, &buffer[..n]) {
                    Ok(()) => return Ok(self.received == size),
                    Err(wrong) => format!("a byte came back as {:#04x}", wrong.got),
                }
            }
        };
        Err(about(self.number, io::Error::other(wrong)))
    }
}

/// A connection from a source address of its own.
fn connect(to: SocketAddrV4, number: u64) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    // The port is chosen at the connect: only the pair of both ends must be new.
    socket::setsockopt(&socket, IpBindAddressNoPort, &true)?;
    let source = Ipv4Addr::new(127, 0, 0, 2 + (number % SOURCES) as u8);
    socket::bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
    // On loopback this is done at once, while the queue of the listener has room.
    socket::connect(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(TcpStream::from(socket))
}

fn about(number: u64, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connection {number}: {error}"))
}
