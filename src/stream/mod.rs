//! Streams: a reader and a writer for each connection, as asyncio has them.
//!
//! ```text
//!   open_connection ──┐
//!   a server ─────────┼──► (Reader, Writer)   two handles on one connection
//!   a TcpStream ──────┘       │        │
//!            waits for bytes, │        │ takes all at once, and never waits;
//!            lines, records   │        │ drain holds back whoever is too fast
//! ```
//!
//! A [`Reader`] reads lines, records and exact lengths from where the bytes have come to, without a
//! second buffer; whatever is dropped while it waits has taken nothing. A [`Writer`] takes what it is
//! given, however much that is, and sends it in order; [`Writer::drain`] waits while too much is
//! buffered. They are the same two types for every kind of connection.
//!
//! What differs from asyncio: a line that is too long stays to be read ([`LimitOverrun`]), and bytes
//! that came before an error are read before it is told.
//!
//! # Examples
//!
//! ```
//! use ringloop::net::TcpListener;
//! use ringloop::stream::open_connection;
//!
//! ringloop::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     ringloop::spawn(async move {
//!         let (mut reader, writer) = listener.accept().await?.0.into_stream();
//!         let mut lines = reader.lines();
//!         while let Some(line) = lines.next_line().await? {
//!             writer.write(line.to_uppercase().as_bytes())?;
//!             writer.write_all(b"\n").await?;
//!         }
//!         std::io::Result::Ok(())
//!     });
//!
//!     let (mut reader, writer) = open_connection(address).await?;
//!     writer.write_all(b"hello\n").await?;
//!     let mut line = String::new();
//!     reader.read_line(&mut line).await?;
//!     assert_eq!(line, "HELLO\n");
//!     writer.close();
//!     writer.wait_closed().await
//! }).unwrap();
//! ```

mod connect;
mod copy;
mod error;
mod reader;
mod records;
mod text;
mod writer;

pub(crate) use connect::pair;

pub use connect::{open_connection, open_unix_connection};
pub use copy::{copy, copy_bidirectional};
pub use error::{IncompleteRead, LimitOverrun, ReadError};
pub use reader::Reader;
pub use records::Lines;
pub use writer::Writer;
