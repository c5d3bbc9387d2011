//! The load: one thread that never sleeps, plain sockets, every byte checked.
//!
//! ```text
//!        ┌──────────────── poll all, without waiting ◄───────────────┐
//!        ▼                                                           │
//!   for each that has something: receive, compare, record, send the next
//! ```
//!
//! A poll that does not wait leaves no trace at the sockets: it takes none of their locks, and the
//! server's send finds nobody to wake. So the load generator costs the server no more than a peer on
//! another machine would, and a thousand connections cost one call. An idle CPU takes long to wake:
//! hence it spins, and what it spends in vain shows whether it or the server is the bottleneck.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::child::Target;
use crate::churn;
use crate::meter::{Meter, PATIENCE, Phase, Until, Window};
use crate::pattern::{Pattern, Track};
use crate::plan::Workload;

/// Bytes that are asked for at once.
const BUFFER: usize = 256 << 10;

/// When messages leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as an answer is complete: each connection keeps its messages in flight.
    Closed,
    /// So many a second, whether answers come or not; latency counts from the planned time, so
    /// what a stalled server holds up is not forgotten.
    Open(f64),
}

/// Loads `server`. The requests of the whole run, and what its window has shown.
///
/// # Errors
///
/// A wrong byte, a lost connection, or a long silence.
pub(crate) fn run(
    server: Target,
    workload: Workload,
    pace: Pace,
    until: Until,
) -> io::Result<(u64, Option<Window>)> {
    if workload.churn {
        return churn::run(server, workload, until);
    }
    let pattern = Pattern::new();
    let mut streams = Vec::with_capacity(workload.connections);
    for number in 0..workload.connections {
        let stream = TcpStream::connect(server.address).map_err(|error| about(number, error))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let mut polled: Vec<PollFd<'_>> =
        streams.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
    let mut connections: Vec<Connection<'_>> = streams
        .iter()
        .enumerate()
        .map(|(number, stream)| Connection::new(stream, pattern.track(number), workload.size))
        .collect();

    let mut meter = Meter::new(server, until);
    let mut schedule = Schedule::new(pace);
    let mut buffer = vec![0; BUFFER];
    loop {
        let from = Instant::now();
        poll(&mut polled, PollTimeout::ZERO)?;
        let now = Instant::now();
        let phase = meter.asked(from, now)?;
        match (phase, &mut schedule) {
            (Phase::Drain, _) => {
                if connections.iter().all(|connection| connection.in_flight.is_empty()) {
                    break;
                }
            }
            (_, Some(schedule)) => schedule.begin_due(now, &mut connections),
            (_, None) => {}
        }
        let keep = if schedule.is_none() && phase != Phase::Drain { workload.in_flight } else { 0 };
        for (number, (connection, polled)) in connections.iter_mut().zip(&mut polled).enumerate() {
            connection
                .step(polled, keep, &mut meter, &mut buffer)
                .map_err(|error| about(number, error))?;
        }
    }
    for (number, connection) in connections.into_iter().enumerate() {
        connection.end().map_err(|error| about(number, error))?;
    }
    Ok(meter.finish())
}

/// The error with the connection it belongs to.
fn about(number: usize, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connection {number}: {error}"))
}

/// The planned times of an open loop, dealt out to the connections in a circle.
struct Schedule {
    begin: Instant,
    /// Nanoseconds from one to the next.
    step: f64,
    planned: u64,
}

impl Schedule {
    /// None: a closed loop has no plan.
    fn new(pace: Pace) -> Option<Self> {
        match pace {
            Pace::Closed => None,
            Pace::Open(rate) => Some(Self { begin: Instant::now(), step: 1e9 / rate, planned: 0 }),
        }
    }

    /// Begins the messages whose time has come.
    fn begin_due(&mut self, now: Instant, connections: &mut [Connection<'_>]) {
        loop {
            let at = self.begin + Duration::from_nanos((self.planned as f64 * self.step) as u64);
            if at > now {
                return;
            }
            let number = self.planned as usize % connections.len();
            connections[number].begin(at);
            self.planned += 1;
        }
    }
}

/// One connection of the load generator.
struct Connection<'a> {
    stream: &'a TcpStream,
    track: Track<'a>,
    size: u64,
    /// When each message left, or was to leave, that has not come back.
    in_flight: VecDeque<Instant>,
    /// Bytes of all messages that were begun; of those that the kernel took; of those that came back.
    due: u64,
    sent: u64,
    received: u64,
    /// Set while the kernel takes no more.
    blocked: bool,
}

impl<'a> Connection<'a> {
    fn new(stream: &'a TcpStream, track: Track<'a>, size: usize) -> Self {
        Self {
            stream,
            track,
            size: size as u64,
            in_flight: VecDeque::new(),
            due: 0,
            sent: 0,
            received: 0,
            blocked: false,
        }
    }

    fn begin(&mut self, at: Instant) {
        self.in_flight.push_back(at);
        self.due += self.size;
    }

    /// Takes in what the poll has found, and sends what is due. `keep` messages stay in flight.
    fn step(
        &mut self,
        polled: &mut PollFd<'_>,
        keep: usize,
        meter: &mut Meter,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let found = polled.revents().unwrap_or(PollFlags::all());
        if found.intersects(!PollFlags::POLLOUT) {
            let now = self.receive(meter, buffer)?;
            while self.in_flight.len() < keep {
                self.begin(now);
            }
        } else if self.received == 0 && self.in_flight.len() < keep {
            // The first ones: no answer calls for them.
            let now = Instant::now();
            (0..keep).for_each(|_| self.begin(now));
        }
        if self.sent < self.due && (!self.blocked || found.contains(PollFlags::POLLOUT)) {
            let was = self.blocked;
            self.blocked = !self.send()?;
            if self.blocked != was {
                let room = if self.blocked { PollFlags::POLLOUT } else { PollFlags::empty() };
                polled.set_events(PollFlags::POLLIN | room);
            }
        }
        Ok(())
    }

    /// Takes in, compares and counts what has come; the time when it was done.
    fn receive(&mut self, meter: &mut Meter, buffer: &mut [u8]) -> io::Result<Instant> {
        let before = self.received;
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => {
                    let missing = self.due - self.received;
                    let lost = format!("the server ended it with {missing} bytes missing");
                    return Err(io::Error::other(lost));
                }
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.track.check(self.received, &buffer[..n]).map_err(|wrong| {
                let (at, got, want) = (wrong.at, wrong.got, wrong.want);
                io::Error::other(format!("byte {at} came back as {got:#04x}, not {want:#04x}"))
            })?;
            self.received += n as u64;
            if n < buffer.len() {
                break;
            }
        }
        let now = Instant::now();
        for _ in before / self.size..self.received / self.size {
            let Some(sent) = self.in_flight.pop_front() else {
                return Err(io::Error::other("more bytes came back than were sent"));
            };
            meter.answered(sent, now);
        }
        Ok(now)
    }

    /// Hands over what is due. False: the kernel takes no more.
    fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.due {
            let piece = self.track.piece(self.sent, (self.due - self.sent) as usize);
            match self.stream.write(piece) {
                Ok(n) => self.sent += n as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that no more will come, and sees the server end it as well.
    fn end(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match self.stream.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::other("more bytes came back than were sent")),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("the server did not end it after its peer had: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::thread;

    /// Runs against a server of threads that hands each piece to `answer`, which tells what to
    /// send back; None ends the connection. `last` is sent once the peer has ended its side.
    fn against(
        workload: &str,
        pace: Pace,
        answer: fn(&mut Vec<u8>, u64) -> Option<()>,
        last: &'static [u8],
    ) -> Result<(u64, Option<Window>), String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let (mut buffer, mut total) = (vec![0; BUFFER], 0);
                    loop {
                        let Ok(n) = stream.read(&mut buffer) else { return };
                        if n == 0 {
                            let _ = stream.write_all(last);
                            return;
                        }
                        total += n as u64;
                        let mut piece = buffer[..n].to_vec();
                        if answer(&mut piece, total).is_none() || stream.write_all(&piece).is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        let target = Target { address, pid: nix::unistd::getpid() };
        let warm_up = Duration::from_millis(20);
        let until = Until::Time { warm_up, window: Duration::from_millis(100) };
        let mut workload = Workload::from_name(workload).unwrap();
        workload.connections = workload.connections.min(4);
        run(target, workload, pace, until).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_echoed_is_counted() {
        for workload in ["64Bx1", "64Kx8x4", "64Bx50x32", "churn"] {
            let (total, window) = against(workload, Pace::Closed, |_, _| Some(()), &[]).unwrap();
            let window = window.unwrap();
            assert!(window.requests > 0 && total >= window.requests, "{workload}: {total}");
            assert!((0.0..=1.0).contains(&window.busy), "{workload}: {}", window.busy);
        }
    }

    #[test]
    fn a_fixed_rate_is_kept() {
        let (_, window) = against("64Bx50", Pace::Open(1000.0), |_, _| Some(()), &[]).unwrap();
        let window = window.unwrap();
        let rate = window.requests as f64 / window.spent.took.as_secs_f64();
        assert!((700.0..1300.0).contains(&rate), "{rate} a second");
    }

    #[test]
    fn a_stalled_answer_counts_from_its_planned_time() {
        let stall = |_: &mut Vec<u8>, total| {
            if total == 64 * 10 {
                thread::sleep(Duration::from_millis(60));
            }
            Some(())
        };
        let (_, window) = against("64Bx1", Pace::Open(1000.0), stall, &[]).unwrap();
        let latency = window.unwrap().latency;
        // Not one message waited, but all that were planned meanwhile.
        assert!(latency.quantile(0.8) > Duration::from_millis(5), "{:?}", latency.quantile(0.8));
    }

    #[test]
    fn a_wrong_byte_ends_the_run() {
        let wrong = |piece: &mut Vec<u8>, total| {
            if total > 3000 {
                piece[0] ^= 1;
            }
            Some(())
        };
        for workload in ["64Bx50", "64Kx8x4"] {
            let error = against(workload, Pace::Closed, wrong, &[]).err().unwrap();
            assert!(error.contains("came back as"), "{workload}: {error}");
        }
        let flip = |piece: &mut Vec<u8>, _| {
            piece[63] ^= 1;
            Some(())
        };
        let error = against("churn", Pace::Closed, flip, &[]).err().unwrap();
        assert!(error.contains("came back as"), "{error}");
    }

    #[test]
    fn a_lost_connection_ends_the_run() {
        for workload in ["64Bx50", "churn"] {
            let error = against(workload, Pace::Closed, |_, _| None, &[]).err().unwrap();
            let named = error.contains("ended it with 64 bytes missing");
            assert!(named || error.contains("reset"), "{workload}: {error}");
        }
    }

    #[test]
    fn bytes_too_many_end_the_run() {
        let error = against("64Bx1", Pace::Closed, |_, _| Some(()), b"?").err().unwrap();
        assert!(error.contains("more bytes"), "{error}");
        let twice = |piece: &mut Vec<u8>, _| {
            piece.push(0);
            Some(())
        };
        let error = against("churn", Pace::Closed, twice, &[]).err().unwrap();
        assert!(error.contains("more bytes"), "{error}");
    }
}
