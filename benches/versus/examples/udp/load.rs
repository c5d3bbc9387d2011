//! The load generator: keeps a window of datagrams under way, and spins.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::{WINDOW, Workload};

/// A datagram may be lost; after so long a silence the window is filled again.
const SILENCE: Duration = Duration::from_millis(20);
/// The longest silence before a run has failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Load {
    socket: UdpSocket,
    workload: Workload,
    /// The window in one piece.
    all: Vec<u8>,
    buf: Vec<u8>,
}

impl Load {
    pub(crate) fn new(port: u16, workload: Workload) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", port))?;
        socket.set_nonblocking(true)?;
        if workload.segments {
            setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
            setsockopt(&socket, sockopt::UdpGsoSegment, &(workload.len as i32))?;
        }
        let all = (0..=255).cycle().take(workload.len * WINDOW).collect();
        Ok(Self { socket, workload, all, buf: vec![0; 1 << 16] })
    }

    /// Goes on for so long: how many datagrams have come back.
    pub(crate) fn run(&mut self, window: Duration) -> io::Result<u64> {
        let (start, mut heard, mut answers) = (Instant::now(), Instant::now(), 0);
        self.fill()?;
        let mut due = WINDOW * self.workload.len;
        let mut refilled = start;
        while start.elapsed() < window {
            let n = match self.socket.recv(&mut self.buf) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if heard.elapsed() > PATIENCE {
                        return Err(io::Error::other("the server does not answer"));
                    }
                    if heard.max(refilled).elapsed() > SILENCE {
                        refilled = Instant::now();
                        self.fill()?;
                        due = WINDOW * self.workload.len;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.buf[..n.min(64)] != self.all[..n.min(64)] && !self.workload.segments {
                return Err(io::Error::other("an answer that is none"));
            }
            heard = Instant::now();
            answers += n.div_ceil(self.workload.len) as u64;
            due = due.saturating_sub(n);
            if !self.workload.segments {
                self.socket.send(&self.all[..self.workload.len])?;
            } else if due == 0 {
                self.fill()?;
                due = WINDOW * self.workload.len;
            }
        }
        // What is under way belongs to no run.
        let end = Instant::now();
        while end.elapsed() < SILENCE {
            let _ = self.socket.recv(&mut self.buf);
        }
        Ok(answers)
    }

    /// Sends a window of datagrams.
    fn fill(&self) -> io::Result<()> {
        let len = self.workload.len;
        if !self.workload.segments {
            return (0..WINDOW).try_for_each(|_| self.socket.send(&self.all[..len]).map(drop));
        }
        // The kernel cuts it.
        self.socket.send(&self.all).map(drop)
    }
}
