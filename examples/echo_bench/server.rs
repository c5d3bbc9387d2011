//! The server: a child process, so that its CPU time, syscalls and memory are its own.
//!
//! ```text
//!   load generator                        server (this program again, hidden first argument)
//!     stdin  ──────────────────────────►  reads until EOF, then exits: it never outlives its parent
//!     stdout ◄──────────────────────────  "ready ECHO CONTROL SENTENCE" or "failed SENTENCE", once
//!     connections ◄───── bytes ────────►  echo listener
//!     counters() ◄──────────────────────  control listener: one line to each connection
//!     /proc/PID/…                         CPU time and memory, read by the parent
//! ```
//!
//! What asking for the counters costs is in the figures: one accept and one send, five syscalls at
//! most. A measured window holds thousands of requests, so this is less than their rounding.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket};
use ringloop::{BackendChoice, Builder};

use crate::args::{Api, Kind};

/// The first argument that makes this program the server.
pub(crate) const HIDDEN: &str = "__server";

/// The parent's side. Dropping it ends the server.
pub(crate) struct Server {
    child: Child,
    pub(crate) echo: SocketAddr,
    control: SocketAddr,
    /// The runtime's sentence about its backend.
    pub(crate) backend: String,
}

/// What ringloop counts in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) syscalls: u64,
    pub(crate) turns: u64,
    pub(crate) completions: u64,
}

/// What the scheduler counts for the server.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime {
    /// Time on a CPU.
    pub(crate) used: Duration,
    /// Time that it was ready to run while another process had the CPU.
    pub(crate) waited: Duration,
}

impl Server {
    /// Starts a server on `cpu`.
    ///
    /// # Errors
    ///
    /// The server's own sentence where it cannot work, such as that there is no io_uring here.
    pub(crate) fn start(kind: Kind, cpu: usize) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([HIDDEN, &kind.backend.to_string(), &kind.api.to_string(), &cpu.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let local = |port: &str| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
        let mut words = line.trim_end().splitn(4, ' ');
        let ready = (|| {
            (words.next()? == "ready").then_some(())?;
            Some((local(words.next()?)?, local(words.next()?)?, words.next()?.to_owned()))
        })();
        if let Some((echo, control, backend)) = ready {
            return Ok(Self { child, echo, control, backend });
        }
        let _ = child.kill();
        let status = child.wait()?;
        Err(io::Error::other(match line.trim_end().strip_prefix("failed ") {
            Some(sentence) => sentence.to_owned(),
            None => format!("the server did not start: {status}"),
        }))
    }

    /// Asks for the counters.
    pub(crate) async fn counters(&self) -> io::Result<Counters> {
        let mut stream = TcpStream::connect(self.control).await?;
        let mut line = Vec::new();
        while let Some(chunk) = stream.read_chunk().await? {
            line.extend_from_slice(&chunk);
        }
        let line = String::from_utf8_lossy(&line);
        Counters::parse(&line).ok_or_else(|| {
            io::Error::other(format!("the server's counters came as {:?}", line.trim_end()))
        })
    }

    /// The CPU time of its threads, the kernel's workers for it included.
    pub(crate) fn cpu(&self) -> Option<CpuTime> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let mut sum = CpuTime { used: Duration::ZERO, waited: Duration::ZERO };
        for task in tasks.flatten() {
            let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let mut times = times.split(' ').map(|nanos| nanos.parse().map(Duration::from_nanos));
            sum.used += times.next()?.ok()?;
            sum.waited += times.next()?.ok()?;
        }
        Some(sum)
    }

    /// Bytes of memory that it has written to and shares with nobody.
    pub(crate) fn private_bytes(&self) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Counters {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers =
            line.strip_suffix('\n')?.split(' ').zip(["syscalls=", "turns=", "completions="]);
        let mut number = || {
            let (word, name) = numbers.next()?;
            word.strip_prefix(name)?.parse().ok()
        };
        Some(Self { syscalls: number()?, turns: number()?, completions: number()? })
    }
}

/// The child's whole life; `args` are those after [`HIDDEN`].
pub(crate) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    // The parent holds the other end. However it ends, this read does too.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0)
    });
    if let Err(error) = serve(args) {
        let _ = writeln!(io::stdout(), "failed {error}");
    }
    ExitCode::FAILURE
}

fn serve(mut args: impl Iterator<Item = String>) -> io::Result<()> {
    let usage = || io::Error::other("the server's arguments are BACKEND API CPU");
    let backend: BackendChoice = args.next().and_then(|arg| arg.parse().ok()).ok_or_else(usage)?;
    let api = args.next().as_deref().and_then(Api::parse).ok_or_else(usage)?;
    let cpu = args.next().and_then(|arg| arg.parse().ok()).ok_or_else(usage)?;

    let mut runtime = Builder::new().backend(backend).cpu(cpu).build()?;
    let sentence = runtime.backend().to_string();
    runtime.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (echo, control) = (TcpListener::bind(any).await?, TcpListener::bind(any).await?);
        let (port, other) = (echo.local_addr()?.port(), control.local_addr()?.port());
        writeln!(io::stdout(), "ready {port} {other} {sentence}")?;
        ringloop::spawn(tell_counters(control));
        loop {
            let (stream, _peer) = echo.accept().await?;
            // An error ends its connection; the load generator notices.
            ringloop::spawn(async move {
                let _ = match api {
                    Api::Chunk => echo_chunks(stream).await,
                    Api::Slice => echo_slices(stream).await,
                    Api::Stream => echo_stream(stream).await,
                    Api::StreamSlice => echo_stream_slices(stream).await,
                    Api::Protocol => echo_protocol(stream).await,
                };
            });
        }
    })
}

async fn echo_chunks(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    stream.shutdown(Shutdown::Write).await
}

async fn echo_slices(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return stream.shutdown(Shutdown::Write).await;
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn echo_stream(stream: TcpStream) -> io::Result<()> {
    let (mut reader, writer) = stream.into_stream();
    writer.set_nodelay(true)?;
    while let Some(chunk) = reader.read_chunk().await? {
        writer.write_chunk(chunk)?;
        writer.drain().await?;
    }
    writer.write_eof()
}

async fn echo_stream_slices(stream: TcpStream) -> io::Result<()> {
    let (mut reader, writer) = stream.into_stream();
    writer.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = reader.read(&mut buffer).await?;
        if n == 0 {
            return writer.write_eof();
        }
        writer.write_all(&buffer[..n]).await?;
    }
}

async fn echo_protocol(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    connect_accepted_socket(|| Echo, stream).await.map(drop)
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        if transport.write(data) {
            transport.pause_reading();
        }
    }

    fn resume_writing(&mut self, transport: &Transport) {
        transport.resume_reading();
    }
}

async fn tell_counters(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _peer) = listener.accept().await?;
        let metrics = ringloop::metrics();
        let line = format!(
            "syscalls={} turns={} completions={}\n",
            metrics.syscalls, metrics.turns, metrics.completions
        );
        // Dropping the stream sends what it holds and closes.
        let _ = stream.write_all(line.as_bytes()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_they_are_told() {
        let counters = Counters::parse("syscalls=12 turns=3 completions=45\n");
        assert_eq!(counters, Some(Counters { syscalls: 12, turns: 3, completions: 45 }));
        assert_eq!(Counters::parse("syscalls=12 turns=3 completions=4"), None);
        assert_eq!(Counters::parse("syscalls=12 turns=3\n"), None);
        assert_eq!(Counters::parse(""), None);
    }
}
