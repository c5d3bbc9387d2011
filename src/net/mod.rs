//! TCP, UDP, Unix sockets, pipes, and descriptors of one's own.
//!
//! A socket owns what it receives: completions land in its *inbox*, whether or not a
//! `read` waits, and `read` takes from there. What is written gathers in its *outbox*
//! and leaves in one send at a time. So dropping a future never loses a byte or a connection, and
//! plain slices work on a completion runtime.
//!
//! ```text
//!   write_all(&buf)                                read(&mut buf)
//!        │ copied once                                ▲ copied once, or lent by read_chunk
//!        ▼                                            │
//!     outbox ── one send in flight ──► kernel ──► inbox of leases
//! ```

mod accept;
mod addr;
mod by_call;
mod connect;
mod connect_error;
mod datagram_socket;
mod descriptor;
mod direct;
mod endpoint;
mod halves;
mod happy_eyeballs;
mod inbox;
mod line;
mod link;
mod names;
mod op;
mod options;
mod outbox;
mod pipe;
mod pipe_writer;
mod readiness;
mod receive;
mod search;
mod send_file;
mod socket;
mod splice;
mod stdio;
mod stream_socket;
mod tcp_listener;
mod tcp_options;
mod tcp_stream;
mod transmit;
mod udp;
mod unix;
mod waiters;

pub(crate) use inbox::Inbox;
pub(crate) use link::{Link, WeakLink};
pub(crate) use search::Separators;
pub(crate) use socket::Counts;

pub use addr::{Family, ToSocketAddrs};
pub use connect::TcpConnector;
pub use connect_error::ConnectError;
pub use datagram_socket::DatagramSocket;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use names::{NameLookup, lookup_addr, lookup_host};
pub use options::TcpListenerOptions;
pub use pipe::{PipeReader, pipe};
pub use pipe_writer::PipeWriter;
pub use readiness::{Interest, Readiness, Ready};
pub use splice::{SpliceFrom, SpliceTo, splice};
pub use stdio::{stderr, stdin, stdout};
pub use stream_socket::StreamSocket;
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp::{Datagram, Ecn, Transmit, UdpSocket, UdpSocketOptions};
pub use unix::{UCred, UnixDatagram, UnixListener, UnixListenerOptions, UnixStream};
