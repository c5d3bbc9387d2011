//! Transports and protocols: asyncio's callbacks.
//!
//! A [`Protocol`] is what you write: methods that are called when something has happened to a connection. A
//! [`Transport`] is what it is called with: it takes what is to be sent, and never waits.
//!
//! ```text
//!   completion ─► inbox ─► pump, a task ──► your callbacks (&mut self, &Transport)
//!                           ▲                     │ write: taken into the outbox
//!                           └─ close, pause, … ───┘
//! ```
//!
//! Each connection is a task of the loop, the *pump*, that calls its protocol whenever there is something to tell. So
//! callbacks stand in the same queue as everything else that runs, as in asyncio; they never interrupt one another, and
//! one connection that has much to tell gives way to the others. The connection lives until it is closed by either
//! side: nobody needs to hold its `Transport`.
//!
//! Where code awaits what it needs, [streams](crate::stream) are simpler. Protocols are for code that reacts.
//!
//! # Flow control
//!
//! Receiving: [`Transport::pause_reading`] holds back what comes, at the peer's side in the end. Sending: `write` takes
//! everything, so a peer that does not read would fill the memory. Above the *high mark* (64 KiB) a protocol is told to
//! [pause](Protocol::pause_writing), and at or below the *low mark* (16 KiB) to [resume](Protocol::resume_writing).
//!
//! # Examples
//!
//! ```
//! use std::io;
//! use ringloop::net::TcpListener;
//! use ringloop::protocol::{Protocol, Transport, connect_accepted_socket, create_connection};
//!
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
//!         transport.write(data);
//!     }
//! }
//!
//! struct Client;
//!
//! impl Protocol for Client {
//!     fn connection_made(&mut self, transport: &Transport) {
//!         transport.write(b"hello");
//!         transport.write_eof();
//!     }
//!
//!     fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
//!         println!("the server says {}", data.escape_ascii());
//!     }
//!
//!     fn connection_lost(&mut self, error: Option<io::Error>) {
//!         println!("the end: {error:?}");
//!     }
//! }
//!
//! ringloop::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let client = create_connection(|| Client, listener.local_addr()?).await?;
//!     let (stream, _peer) = listener.accept().await?;
//!     connect_accepted_socket(|| Echo, stream).await?;
//!     client.wait_closed().await;
//!     io::Result::Ok(())
//! }).unwrap();
//! ```

mod any;
mod base;
mod callback;
mod callbacks;
mod connect;
mod datagram;
mod datagram_pump;
mod datagram_state;
mod pump;
mod state;
mod transport;

pub(crate) use connect::{accepted, name_of};
pub(crate) use transport::WeakTransport;

pub use any::IntoProtocol;
pub use callbacks::{BufferedProtocol, Eof, Protocol};
pub use connect::{
    connect_accepted_socket, connect_read_pipe, connect_write_pipe, create_connection,
    create_unix_connection,
};
pub use datagram::{DatagramProtocol, DatagramTransport, create_datagram_endpoint};
pub use transport::Transport;
