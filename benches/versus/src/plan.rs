//! What is measured: the servers and the workloads, as data.

use std::fmt;

/// An echo server: whatever comes on a connection goes back on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Server {
    /// A single-purpose io_uring loop without tasks: the best that is known for each workload.
    LimitUring,
    /// The same on epoll.
    LimitEpoll,
    /// ringloop on io_uring, received pieces lent (`read_chunk`) and handed on.
    Ringloop,
    /// ringloop on io_uring, `read(&mut [u8])` and `write_all(&[u8])`.
    RingloopSlices,
    /// ringloop on epoll, received pieces lent.
    RingloopEpoll,
    /// ringloop on io_uring, by `stream`: a reader, a writer, and `drain`.
    RingloopStream,
    /// ringloop on io_uring, by `protocol`: a callback that writes what it is given.
    RingloopProtocol,
    /// One thread, `current_thread` with a `LocalSet`.
    Tokio,
    Monoio,
    Compio,
    Glommio,
    Kimojio,
    Smol,
}

impl Server {
    pub(crate) const ALL: [Self; 13] = [
        Self::LimitUring,
        Self::LimitEpoll,
        Self::Ringloop,
        Self::RingloopSlices,
        Self::RingloopEpoll,
        Self::RingloopStream,
        Self::RingloopProtocol,
        Self::Tokio,
        Self::Monoio,
        Self::Compio,
        Self::Glommio,
        Self::Kimojio,
        Self::Smol,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LimitUring => "limit-uring",
            Self::LimitEpoll => "limit-epoll",
            Self::Ringloop => "ringloop",
            Self::RingloopSlices => "ringloop-slices",
            Self::RingloopEpoll => "ringloop-epoll",
            Self::RingloopStream => "ringloop-stream",
            Self::RingloopProtocol => "ringloop-protocol",
            Self::Tokio => "tokio",
            Self::Monoio => "monoio",
            Self::Compio => "compio",
            Self::Glommio => "glommio",
            Self::Kimojio => "kimojio",
            Self::Smol => "smol",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the load generator does to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages that a connection has under way at once.
    pub(crate) in_flight: usize,
    /// Each connection carries one message and ends: connect, echo, close.
    pub(crate) churn: bool,
}

impl Workload {
    const fn echo(name: &'static str, size: usize, connections: usize, in_flight: usize) -> Self {
        Self { name, connections, size, in_flight, churn: false }
    }

    /// Each is called by the bytes of a message, the connections, and the messages in flight.
    pub(crate) const ALL: [Self; 8] = [
        Self::echo("64Bx1", 64, 1, 1),
        Self::echo("64Bx50", 64, 50, 1),
        Self::echo("64Bx1000", 64, 1000, 1),
        Self::echo("1Kx50", 1 << 10, 50, 1),
        Self::echo("16Kx50", 16 << 10, 50, 1),
        Self::echo("64Kx8x4", 64 << 10, 8, 4),
        Self::echo("64Bx50x32", 64, 50, 32),
        Self { churn: true, ..Self::echo("churn", 64, 50, 1) },
    ];

    /// Whether it is a stream of large messages.
    pub(crate) fn streams(self) -> bool {
        self.size >= 64 << 10
    }

    /// The buffer that a server with one buffer a connection gets: what its users would give it.
    pub(crate) fn buffer(self) -> usize {
        match self.size {
            ..4096 => 4096,
            4096..65536 => 16 << 10,
            _ => 64 << 10,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name == name)
    }
}

impl fmt::Display for Workload {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, size, in_flight, churn, .. } = *self;
        let (size, unit) = if size < 1 << 10 { (size, "B") } else { (size >> 10, "KiB") };
        let plural = if connections == 1 { "" } else { "s" };
        match (churn, in_flight) {
            (true, _) => write!(f, "connect, echo {size} {unit}, close; {connections} at a time"),
            (_, 1) => write!(f, "{size} {unit} on {connections} connection{plural}"),
            _ => write!(
                f,
                "{size} {unit} on {connections} connection{plural}, {in_flight} in flight on each"
            ),
        }
    }
}
