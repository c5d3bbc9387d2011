//! The load: each connection keeps its messages in flight, every byte is checked.
//!
//! ```text
//!   connect all ─► warm up ─► counters ─► measured window ─► counters ─► drain ─► FIN both ways
//! ```
//!
//! The loop is closed: a new message leaves when an answer is complete. Latency is the time from
//! handing a message to the kernel until its last byte has come back and was checked.
//!
//! The client must be cheaper than the server, or it is the client that is measured: so it uses plain
//! non-blocking sockets of std, which it asks in a circle without ever sleeping, where it has a CPU of
//! its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::args;
use crate::histogram::Histogram;
use crate::interrupt::Interrupt;
use crate::pattern::{Pattern, Track};
use crate::server::{Counters, CpuTime, Server};

/// Not measured: caches, allocators and congestion windows settle.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);
/// Bytes that are asked for at once.
const BUFFER: usize = 256 << 10;
/// How long a client that shares its CPU with the server lets it be.
const PAUSE: Duration = Duration::from_micros(50);
/// The longest silence before a round has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one round of one cell has shown.
pub(crate) struct Round {
    pub(crate) took: Duration,
    pub(crate) requests: u64,
    pub(crate) syscalls: u64,
    pub(crate) cpu: Option<CpuTime>,
    pub(crate) latency: Histogram,
}

/// Where a round is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    Drain,
}

/// What the connections of a round share.
struct Load {
    cell: args::Cell,
    pattern: Pattern,
    phase: Cell<Phase>,
    completed: Cell<u64>,
    latency: RefCell<Histogram>,
}

/// Loads `server` for one round. `None` means that the user has interrupted it.
///
/// With `spin` the load generator never sleeps: an idle virtual CPU takes tens of microseconds to
/// wake, and that would be measured instead of the server.
pub(crate) async fn round(
    server: &Server,
    cell: args::Cell,
    window: Duration,
    spin: bool,
    interrupt: &Interrupt,
) -> io::Result<Option<Round>> {
    let load = Rc::new(Load {
        cell,
        pattern: Pattern::new(),
        phase: Cell::new(Phase::WarmUp),
        completed: Cell::new(0),
        latency: RefCell::new(Histogram::new()),
    });
    let mut connections = Vec::with_capacity(cell.connections);
    for number in 0..cell.connections {
        connections.push(Connection::open(number, server).map_err(|e| about(number, &e))?);
    }
    let driven = ringloop::spawn({
        let load = load.clone();
        async move { load.drive(connections, spin).await }
    });

    let measured = load.measure(server, window, interrupt).await;
    load.phase.set(Phase::Drain);
    let drained = ringloop::time::timeout(PATIENCE, driven).await;
    drained.map_err(|_| {
        io::Error::other(format!("some answers were still missing after {} s", PATIENCE.as_secs()))
    })???;
    measured
}

/// A moment of the server and of the load.
struct Mark {
    counters: Counters,
    cpu: Option<CpuTime>,
    completed: u64,
    at: Instant,
}

impl Load {
    /// Warms up and measures.
    async fn measure(
        &self,
        server: &Server,
        window: Duration,
        interrupt: &Interrupt,
    ) -> io::Result<Option<Round>> {
        if !interrupt.pause(WARM_UP).await {
            return Ok(None);
        }
        let before = self.mark(server).await?;
        self.phase.set(Phase::Measured);
        if !interrupt.pause(window).await {
            return Ok(None);
        }
        let after = self.mark(server).await?;
        self.phase.set(Phase::Drain);
        Ok(Some(Round {
            took: after.at - before.at,
            requests: after.completed - before.completed,
            syscalls: after.counters.syscalls - before.counters.syscalls,
            cpu: after.cpu.zip(before.cpu).map(|(after, before)| CpuTime {
                used: after.used - before.used,
                waited: after.waited - before.waited,
            }),
            latency: self.latency.replace(Histogram::new()),
        }))
    }

    async fn mark(&self, server: &Server) -> io::Result<Mark> {
        let counters =
            ringloop::time::timeout(PATIENCE, server.counters()).await.map_err(|_| {
                io::Error::other(format!(
                    "the server has not answered for {} s",
                    PATIENCE.as_secs()
                ))
            })??;
        // No await below: these belong to one moment.
        let (cpu, completed, at) = (server.cpu(), self.completed.get(), Instant::now());
        Ok(Mark { counters, cpu, completed, at })
    }

    /// Asks one connection after the other, until all have ended.
    async fn drive(&self, mut connections: Vec<Connection>, spin: bool) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        while !connections.is_empty() {
            let (mut progress, mut ended) = (false, false);
            for connection in &mut connections {
                progress |= self
                    .step(connection, &mut buffer)
                    .map_err(|error| about(connection.number, &error))?;
                ended |= connection.ended;
            }
            if ended {
                connections.retain(|connection| !connection.ended);
            }
            if progress || spin {
                ringloop::task::yield_now().await;
            } else {
                // The server needs the CPU to answer.
                ringloop::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Takes in what has come back and sends what may leave. False: there was nothing to do.
    fn step(&self, connection: &mut Connection, buffer: &mut [u8]) -> io::Result<bool> {
        let track = self.pattern.track(connection.number);
        let received = self.receive(connection, track, buffer)?;
        if self.phase.get() != Phase::Drain {
            let now = Instant::now();
            while connection.in_flight.len() < self.cell.pipeline {
                connection.in_flight.push_back(now);
                connection.due += self.cell.size as u64;
            }
        }
        let sent = connection.send(track)?;
        if self.phase.get() == Phase::Drain && connection.sent == connection.due {
            connection.finish()?;
        }
        Ok(received || sent)
    }

    fn receive(
        &self,
        connection: &mut Connection,
        track: Track<'_>,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        if connection.in_flight.is_empty() && !connection.finished {
            return Ok(false);
        }
        let (size, before) = (self.cell.size as u64, connection.received);
        loop {
            let n = match connection.stream.read(buffer) {
                Ok(0) => {
                    let missing = connection.sent - connection.received;
                    if missing > 0 || !connection.finished {
                        let message = format!("it ended with {missing} bytes missing");
                        return Err(io::Error::other(message));
                    }
                    connection.ended = true;
                    return Ok(true);
                }
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            track.check(connection.received, &buffer[..n]).map_err(|wrong| {
                let (at, got, want) = (wrong.at, wrong.got, wrong.want);
                io::Error::other(format!("byte {at} came back as {got:#04x}, not {want:#04x}"))
            })?;
            connection.received += n as u64;
            if n < buffer.len() {
                break;
            }
        }
        let complete = connection.received / size - before / size;
        self.completed(complete as usize, &mut connection.in_flight)?;
        Ok(connection.received > before)
    }

    /// Counts `n` answers, and times them in the measured window.
    fn completed(&self, n: usize, in_flight: &mut VecDeque<Instant>) -> io::Result<()> {
        if n > in_flight.len() {
            return Err(io::Error::other("more bytes came back than were sent"));
        }
        if n == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut latency = self.latency.borrow_mut();
        for sent in in_flight.drain(..n) {
            if self.phase.get() == Phase::Measured {
                latency.record(now - sent);
            }
        }
        self.completed.set(self.completed.get() + n as u64);
        Ok(())
    }
}

/// One connection of the client.
struct Connection {
    number: usize,
    stream: TcpStream,
    /// When each message left that has not come back.
    in_flight: VecDeque<Instant>,
    /// Bytes of all messages that were begun; of those that the kernel took; of those that came back.
    due: u64,
    sent: u64,
    received: u64,
    /// Set when it was told that no more will come.
    finished: bool,
    /// Set when the server has ended it as well, and all bytes are back.
    ended: bool,
}

impl Connection {
    fn open(number: usize, server: &Server) -> io::Result<Self> {
        let stream = TcpStream::connect(server.echo)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let in_flight = VecDeque::new();
        let (due, sent, received) = (0, 0, 0);
        Ok(Self { number, stream, in_flight, due, sent, received, finished: false, ended: false })
    }

    /// Hands over what is due, as far as the kernel takes it. False: nothing went.
    fn send(&mut self, track: Track<'_>) -> io::Result<bool> {
        let before = self.sent;
        while self.sent < self.due {
            let piece = track.piece(self.sent, (self.due - self.sent) as usize);
            match self.stream.write(piece) {
                Ok(n) => self.sent += n as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.sent > before)
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.finished {
            self.finished = true;
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

/// The error with the connection it belongs to.
fn about(number: usize, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connection {number}: {error}"))
}
