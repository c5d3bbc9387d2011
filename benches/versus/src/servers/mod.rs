//! The servers, one file each: each is what a user of that runtime would write.
//!
//! Each accepts from the listener that it is given for ever, and echoes on each connection until the
//! peer has ended its side; then it closes. One thread. Their connections inherit TCP_NODELAY from the
//! listener.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use crate::plan::{Server, Workload};

mod compio;
mod glommio;
mod kimojio;
mod limit_epoll;
mod limit_uring;
mod monoio;
mod ringloop;
mod smol;
mod tokio;

/// Serves for ever.
pub(crate) fn serve(server: Server, listener: TcpListener, workload: Workload) -> io::Result<()> {
    nodelay_by_inheritance(&listener)?;
    match server {
        Server::LimitUring => limit_uring::serve(listener, workload),
        Server::LimitEpoll => limit_epoll::serve(listener, workload),
        Server::Ringloop => ringloop::leases(listener, ::ringloop::BackendChoice::Uring),
        Server::RingloopSlices => ringloop::slices(listener, workload.buffer()),
        Server::RingloopEpoll => ringloop::leases(listener, ::ringloop::BackendChoice::Epoll),
        Server::RingloopStream => ringloop::streams(listener, workload.buffer()),
        Server::RingloopProtocol => ringloop::protocols(listener),
        Server::Tokio => tokio::serve(listener, workload.buffer()),
        Server::Monoio => monoio::serve(listener, workload.buffer()),
        Server::Compio => compio::serve(listener, workload.buffer()),
        Server::Glommio => glommio::serve(listener, workload.buffer()),
        Server::Kimojio => kimojio::serve(listener, workload.buffer()),
        Server::Smol => smol::serve(listener, workload.buffer()),
    }
}

/// Sets TCP_NODELAY on the listener: what it accepts inherits it, without a call for each connection.
fn nodelay_by_inheritance(listener: &TcpListener) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: reads one int, which lives over the call.
    let done = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// For runtimes that panic where there is no io_uring.
pub(crate) fn find_ring(runtime: &str) -> io::Result<()> {
    io_uring::IoUring::new(8).map(drop).map_err(|error| no_ring(runtime, error))
}

/// The error of a runtime that does without a fallback.
pub(crate) fn no_ring(runtime: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{runtime} found no io_uring that it can use: {error}"))
}
