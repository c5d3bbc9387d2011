//! The load: a task a connection, each keeping its messages in flight, every byte checked.
//!
//! ```text
//!   connect all ─► warm up ─► counters ─► measured window ─► counters ─► drain ─► FIN both ways
//! ```
//!
//! The loop is closed: a new message leaves when an answer is complete. Latency is the time from
//! handing a message to the stream until its last byte has come back and was checked.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringloop::net::TcpStream;

use crate::args;
use crate::histogram::Histogram;
use crate::interrupt::Interrupt;
use crate::pattern::Pattern;
use crate::server::{Counters, CpuTime, Server};

/// Not measured: caches, allocators and congestion windows settle.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);
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
    let mut streams = Vec::with_capacity(cell.connections);
    for number in 0..cell.connections {
        let connected = TcpStream::connect(server.echo).await;
        streams.push(connected.map_err(|error| about(number, &error))?);
    }
    let connections: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            let load = load.clone();
            ringloop::spawn(async move {
                load.drive(number, stream).await.map_err(|error| about(number, &error))
            })
        })
        .collect();
    if spin {
        let load = load.clone();
        ringloop::spawn(async move {
            while load.phase.get() != Phase::Drain {
                ringloop::task::yield_now().await;
            }
        });
    }

    let measured = load.measure(server, window, interrupt).await;
    load.phase.set(Phase::Drain);
    let drained = ringloop::time::timeout(PATIENCE, async {
        for connection in connections {
            connection.await??;
        }
        Ok::<_, io::Error>(())
    });
    drained.await.map_err(|_| {
        io::Error::other(format!("some answers were still missing after {} s", PATIENCE.as_secs()))
    })??;
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

    /// The life of a connection.
    async fn drive(&self, number: usize, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let track = self.pattern.track(number);
        let (mut reader, mut writer) = stream.split();
        let in_flight = RefCell::new(VecDeque::with_capacity(self.cell.pipeline));
        let (sent, size) = (Cell::new(0_u64), self.cell.size as u64);

        let read = async {
            let mut received = 0;
            while let Some(chunk) = reader.read_chunk().await? {
                track.check(received, &chunk).map_err(|wrong| {
                    let (at, got, want) = (wrong.at, wrong.got, wrong.want);
                    io::Error::other(format!("byte {at} came back as {got:#04x}, not {want:#04x}"))
                })?;
                let complete = (received + chunk.len() as u64) / size - received / size;
                received += chunk.len() as u64;
                self.completed(complete as usize, &mut in_flight.borrow_mut())?;
            }
            let missing = sent.get() - received;
            if missing == 0 && self.phase.get() == Phase::Drain {
                return Ok(());
            }
            Err(io::Error::other(format!("it ended with {missing} bytes missing")))
        };
        let write = async {
            while self.may_send(&in_flight).await {
                in_flight.borrow_mut().push_back(Instant::now());
                let end = sent.get() + size;
                while sent.get() < end {
                    let piece = track.piece(sent.get(), (end - sent.get()) as usize);
                    sent.set(sent.get() + piece.len() as u64);
                    writer.write_all(piece).await?;
                }
            }
            writer.shutdown().await
        };
        both(read, write).await
    }

    /// Counts `n` answers, and times them in the measured window.
    fn completed(&self, n: usize, in_flight: &mut VecDeque<Instant>) -> io::Result<()> {
        if n > in_flight.len() {
            return Err(io::Error::other("more bytes came back than were sent"));
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

    /// Waits until another message may leave; false: no more. It needs no waker, because what
    /// changes the answer is the reader of the same task, which is polled before.
    async fn may_send(&self, in_flight: &RefCell<VecDeque<Instant>>) -> bool {
        poll_fn(|_| match self.phase.get() {
            Phase::Drain => Poll::Ready(false),
            _ if in_flight.borrow().len() < self.cell.pipeline => Poll::Ready(true),
            _ => Poll::Pending,
        })
        .await
    }
}

/// Runs both in this task, `first` being polled first, until both have ended or one has failed.
///
/// A connection must go on reading while it waits to write: two ends that both only write fill
/// every buffer between them and stand still.
async fn both(
    first: impl Future<Output = io::Result<()>>,
    second: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_done, mut second_done) = (false, false);
    poll_fn(|cx| {
        if !first_done && let Poll::Ready(result) = first.as_mut().poll(cx) {
            result?;
            first_done = true;
        }
        if !second_done && let Poll::Ready(result) = second.as_mut().poll(cx) {
            result?;
            second_done = true;
        }
        if first_done && second_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// The error with the connection it belongs to.
fn about(number: usize, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connection {number}: {error}"))
}
