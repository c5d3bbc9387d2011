//! What a user writes: the callbacks of a connection.

use std::io;

use super::Transport;

/// What a transport does once its peer has sent the last byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Eof {
    /// It closes, when what was written has been sent.
    #[default]
    Close,
    /// It stays open for writing, until [`Transport::close`] is called.
    KeepOpen,
}

/// The callbacks of a byte stream: asyncio's [`Protocol`].
///
/// ```text
///   connection_made ─► data_received* ─► eof_received? ─► connection_lost
///                      pause_writing / resume_writing, by turns
/// ```
///
/// All of them run on the loop's thread, one after the other: a callback is never called while another one of the
/// same connection runs, whatever that one does with its transport. They must not block.
///
/// A **panic** in a callback is contained. It goes to the hook of
/// [`Builder::on_unhandled`](crate::Builder::on_unhandled), what was written and has not left is discarded, and
/// `connection_lost` is called with an error; other connections go on.
///
/// `Box<dyn Protocol>` is a protocol too.
///
/// [`Protocol`]: https://docs.python.org/3/library/asyncio-protocol.html#asyncio.Protocol
///
/// # Examples
///
/// ```
/// use ringloop::protocol::{Protocol, Transport};
///
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&mut self, transport: &Transport, data: &[u8]) {
///         transport.write(data);
///     }
/// }
/// ```
pub trait Protocol {
    /// The connection is there. Called once, before anything else and before
    /// [`create_connection`](super::create_connection) returns; nothing is received before it has returned.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Bytes have come: at least one, in order, in pieces of any size.
    ///
    /// Never called after `eof_received`, nor after [`close`](Transport::close), [`abort`](Transport::abort) or
    /// [`pause_reading`](Transport::pause_reading), wherever those are called.
    fn data_received(&mut self, transport: &Transport, data: &[u8]);

    /// The peer has sent its last byte. By default the transport closes then.
    fn eof_received(&mut self, transport: &Transport) -> Eof {
        let _ = transport;
        Eof::Close
    }

    /// The connection is gone, or was closed. Called once, last.
    ///
    /// `None` after the peer's end, a [`close`](Transport::close) or an [`abort`](Transport::abort); else why: a
    /// reset, a send that failed, a callback that panicked, the end of the runtime. The descriptor is closed when
    /// this has returned.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// The transport holds more than its high mark: it is time to stop writing. It is an advice: what is written all
    /// the same is taken.
    ///
    /// Called right after the callback that wrote, or in the next turn of the loop if it was other code. See
    /// [`Transport::set_write_buffer_limits`].
    fn pause_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// After a [`pause_writing`](Self::pause_writing): the transport holds no more than its low mark. The last one
    /// may be missing.
    fn resume_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }
}

/// The callbacks of a byte stream that is received into memory of the protocol's own: asyncio's
/// [`BufferedProtocol`].
///
/// ```text
///   connection_made ─► (get_buffer ─► buffer_updated)* ─► eof_received? ─► connection_lost
/// ```
///
/// What stands in [`Protocol`] holds here as well.
///
/// [`BufferedProtocol`]: https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BufferedProtocol
///
/// # Examples
///
/// ```
/// use ringloop::protocol::{BufferedProtocol, Transport};
///
/// /// Answers each header of sixteen bytes.
/// #[derive(Default)]
/// struct Headers {
///     header: [u8; 16],
///     filled: usize,
/// }
///
/// impl BufferedProtocol for Headers {
///     fn get_buffer(&mut self, _hint: usize) -> &mut [u8] {
///         &mut self.header[self.filled..]
///     }
///
///     fn buffer_updated(&mut self, transport: &Transport, n: usize) {
///         self.filled += n;
///         if self.filled == self.header.len() {
///             transport.write(&self.header);
///             self.filled = 0;
///         }
///     }
/// }
/// ```
pub trait BufferedProtocol {
    /// The connection is there; see [`Protocol::connection_made`].
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Where the next bytes are to go. `hint` says how many have come; the memory may be smaller, or larger.
    ///
    /// It is filled before anything else is called: the kernel never sees it. Memory of no bytes is an error that
    /// ends the connection.
    fn get_buffer(&mut self, hint: usize) -> &mut [u8];

    /// The first `n` bytes of the memory that [`get_buffer`](Self::get_buffer) gave have come: at least one.
    fn buffer_updated(&mut self, transport: &Transport, n: usize);

    /// The peer has sent its last byte; see [`Protocol::eof_received`].
    fn eof_received(&mut self, transport: &Transport) -> Eof {
        let _ = transport;
        Eof::Close
    }

    /// The connection is gone, or was closed; see [`Protocol::connection_lost`].
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// It is time to stop writing; see [`Protocol::pause_writing`].
    fn pause_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Writing may go on; see [`Protocol::resume_writing`].
    fn resume_writing(&mut self, transport: &Transport) {
        let _ = transport;
    }
}

impl<P: Protocol + ?Sized> Protocol for Box<P> {
    fn connection_made(&mut self, transport: &Transport) {
        (**self).connection_made(transport);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        (**self).data_received(transport, data);
    }

    fn eof_received(&mut self, transport: &Transport) -> Eof {
        (**self).eof_received(transport)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        (**self).connection_lost(error);
    }

    fn pause_writing(&mut self, transport: &Transport) {
        (**self).pause_writing(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        (**self).resume_writing(transport);
    }
}
