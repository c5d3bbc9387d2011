//! A protocol of either kind.

use std::io;

use super::{BufferedProtocol, Eof, Protocol, Transport};

/// What a transport may call: whatever implements [`Protocol`] or [`BufferedProtocol`], but not both.
///
/// `Kind` says which of the two it is, and is always inferred.
pub trait IntoProtocol<Kind>: sealed::Sealed<Kind> + 'static {}

impl<Kind, P: sealed::Sealed<Kind> + 'static> IntoProtocol<Kind> for P {}

/// The protocol of a transport.
#[expect(unnameable_types, reason = "sealed: nobody outside may make or see it")]
pub enum AnyProtocol {
    Plain(Box<dyn Protocol>),
    Buffered(Box<dyn BufferedProtocol>),
}

pub(super) mod sealed {
    use super::AnyProtocol;

    #[diagnostic::on_unimplemented(
        message = "`{Self}` is no protocol",
        label = "implement `ringloop::protocol::Protocol` or `BufferedProtocol` for it"
    )]
    #[expect(unnameable_types, reason = "sealed: nobody outside may implement or call it")]
    pub trait Sealed<Kind> {
        #[doc(hidden)]
        fn into_any(self) -> AnyProtocol;
    }

    #[expect(unnameable_types, reason = "it is always inferred")]
    #[derive(Debug)]
    pub enum Plain {}

    #[expect(unnameable_types, reason = "it is always inferred")]
    #[derive(Debug)]
    pub enum Buffered {}
}

impl<P: Protocol + 'static> sealed::Sealed<sealed::Plain> for P {
    fn into_any(self) -> AnyProtocol {
        AnyProtocol::Plain(Box::new(self))
    }
}

impl<P: BufferedProtocol + 'static> sealed::Sealed<sealed::Buffered> for P {
    fn into_any(self) -> AnyProtocol {
        AnyProtocol::Buffered(Box::new(self))
    }
}

impl AnyProtocol {
    pub(super) fn connection_made(&mut self, transport: &Transport) {
        match self {
            Self::Plain(protocol) => protocol.connection_made(transport),
            Self::Buffered(protocol) => protocol.connection_made(transport),
        }
    }

    pub(super) fn eof_received(&mut self, transport: &Transport) -> Eof {
        match self {
            Self::Plain(protocol) => protocol.eof_received(transport),
            Self::Buffered(protocol) => protocol.eof_received(transport),
        }
    }

    pub(super) fn connection_lost(&mut self, error: Option<io::Error>) {
        match self {
            Self::Plain(protocol) => protocol.connection_lost(error),
            Self::Buffered(protocol) => protocol.connection_lost(error),
        }
    }

    pub(super) fn pause_writing(&mut self, transport: &Transport) {
        match self {
            Self::Plain(protocol) => protocol.pause_writing(transport),
            Self::Buffered(protocol) => protocol.pause_writing(transport),
        }
    }

    pub(super) fn resume_writing(&mut self, transport: &Transport) {
        match self {
            Self::Plain(protocol) => protocol.resume_writing(transport),
            Self::Buffered(protocol) => protocol.resume_writing(transport),
        }
    }
}

impl std::fmt::Debug for AnyProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Protocol",
            Self::Buffered(_) => "BufferedProtocol",
        })
    }
}
