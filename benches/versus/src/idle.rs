//! What connections cost that have echoed once and are silent since: memory, and CPU.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::account::Moment;
use crate::child::Child;
use crate::meter::PATIENCE;
use crate::pattern::{Pattern, Track};
use crate::plan::{Server, Workload};

/// What a server keeps for silent connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) connections: usize,
    /// Memory of the process for one connection: pages and page tables, not the kernel's socket.
    pub(crate) bytes: f64,
    /// Microseconds of CPU in a second of silence, of all together.
    pub(crate) cpu: f64,
}

/// Descriptors that a side needs beside its connections.
const SPARE_FILES: usize = 100;
/// Connections that come and go before memory is first looked at.
const WARM_UP: usize = 200;
/// How long a server may take to come to rest.
const REST: Duration = Duration::from_millis(200);
/// Bytes of a message.
const SIZE: usize = 64;

/// Opens as many as were asked for, or as the limit of open files allows.
pub(crate) fn cost(
    server: Server,
    workload: Workload,
    cpu: usize,
    wanted: usize,
    files: usize,
) -> io::Result<Idle> {
    let child = Child::start(server, workload, cpu)?;
    let connections = wanted.min(files.saturating_sub(SPARE_FILES)).max(1);
    let pattern = Pattern::new();
    let open = |number: usize| {
        echoed(&child, pattern.track(number))
            .map_err(|error| io::Error::new(error.kind(), format!("connection {number}: {error}")))
    };
    drop((0..WARM_UP).map(open).collect::<io::Result<Vec<_>>>()?);
    thread::sleep(REST);

    let before = child.memory()?;
    let streams = (0..connections).map(open).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(REST);
    let after = child.memory()?;
    let moment = Moment::now(child.target.pid)?;
    thread::sleep(Duration::from_secs(1));
    let spent = moment.spent(child.target.pid)?;
    drop(streams);
    Ok(Idle {
        connections,
        bytes: (after as f64 - before as f64) / connections as f64,
        cpu: spent.cpu.as_secs_f64() / spent.took.as_secs_f64() * 1e6,
    })
}

/// A connection that has had one message echoed.
fn echoed(child: &Child, track: Track<'_>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(child.target.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(track.piece(0, SIZE))?;
    let mut echo = [0; SIZE];
    stream.read_exact(&mut echo)?;
    match track.check(0, &echo) {
        Ok(()) => Ok(stream),
        Err(wrong) => Err(io::Error::other(format!("byte {} came back wrong", wrong.at))),
    }
}
