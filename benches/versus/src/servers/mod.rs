//! The servers, one file each: each is what a user of that runtime would write.
//!
//! Each accepts from the listener that it is given for ever, and echoes on each connection until the
//! peer has ended its side; then it closes. One thread. No server sets TCP_NODELAY on one and not on
//! another: all set it.

use std::io;
use std::net::TcpListener;

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
    match server {
        Server::LimitUring => limit_uring::serve(listener, workload),
        Server::LimitEpoll => limit_epoll::serve(listener, workload),
        Server::Ringloop => ringloop::leases(listener, ::ringloop::BackendChoice::Uring),
        Server::RingloopSlices => ringloop::slices(listener, workload.buffer()),
        Server::RingloopEpoll => ringloop::leases(listener, ::ringloop::BackendChoice::Epoll),
        Server::Tokio => tokio::serve(listener, workload.buffer()),
        Server::Monoio => monoio::serve(listener, workload.buffer()),
        Server::Compio => compio::serve(listener, workload.buffer()),
        Server::Glommio => glommio::serve(listener, workload.buffer()),
        Server::Kimojio => kimojio::serve(listener, workload.buffer()),
        Server::Smol => smol::serve(listener, workload.buffer()),
    }
}
