//! limit_epoll.

use std::io;
use std::net::TcpListener;

use crate::plan::Workload;

pub(super) fn serve(listener: TcpListener, workload: Workload) -> io::Result<()> {
    todo!("limit_epoll: {listener:?} {workload:?}")
}
