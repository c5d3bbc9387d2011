//! A server as a process of its own, so that its CPU time and its memory are its own.
//!
//! ```text
//!   runner, load generator                this program again: serve SERVER WORKLOAD CPU
//!     stdin  ──────────────────────────►  reads until EOF, then exits: it never outlives its parent
//!     stdout ◄──────────────────────────  "ready PORT", and "failed SENTENCE" should it end
//!     connections ◄───── bytes ────────►  the echo server
//!     clock and /proc, read by PID
//! ```

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::panic;
use std::path::Path;
use std::process::{self, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{Backlog, listen};
use nix::unistd::Pid;

use crate::plan::{Server, Workload};
use crate::servers;

/// The first argument that makes this program a server.
pub(crate) const HIDDEN: &str = "serve";

/// How long a server may take to answer its first message.
const START: Duration = Duration::from_secs(10);
/// How long a server that has failed may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted: std's 128 would lose some of a thousand.
const BACKLOG: i32 = 4096;

/// The parent's side. Dropping it ends the server.
pub(crate) struct Child {
    process: process::Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) target: Target,
}

/// Where a server is found, and the process whose time is its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddrV4,
    pub(crate) pid: Pid,
}

impl Child {
    /// Starts a server on `cpu`, and sees it echo.
    ///
    /// # Errors
    ///
    /// The server's own sentence where it cannot work, such as that there is no io_uring here.
    pub(crate) fn start(server: Server, workload: Workload, cpu: usize) -> io::Result<Self> {
        Self::run(Command::new(env::current_exe()?), server, workload, cpu)
    }

    /// The same under strace, which writes what it has counted to `file` when the server ends.
    ///
    /// Its accounts then are those of strace.
    pub(crate) fn start_traced(
        server: Server,
        workload: Workload,
        cpu: usize,
        file: &Path,
    ) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-q", "-o"]).arg(file).arg(env::current_exe()?);
        Self::run(command, server, workload, cpu)
    }

    fn run(
        mut command: Command,
        server: Server,
        workload: Workload,
        cpu: usize,
    ) -> io::Result<Self> {
        let mut process = command
            .args([HIDDEN, server.name(), workload.name, &cpu.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let Some(stdout) = process.stdout.take() else { unreachable!("it was asked for") };
        let pid = Pid::from_raw(process.id() as i32);
        let target = Target { address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), pid };
        let mut child = Self { process, stdout: BufReader::new(stdout), target };
        match child.greet() {
            Ok(()) => Ok(child),
            // How the greeting failed says nothing beside the server's own reason.
            Err(error) => Err(child.last_words().map_or(error, io::Error::other)),
        }
    }

    /// Learns the port, and has one byte echoed.
    fn greet(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let port = line.strip_prefix("ready ").and_then(|port| port.trim_end().parse().ok());
        let no_port = || io::Error::other(line.strip_prefix("failed ").unwrap_or("no port").trim());
        self.target.address.set_port(port.ok_or_else(no_port)?);
        let mut stream = TcpStream::connect(self.target.address)?;
        stream.set_read_timeout(Some(START))?;
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])
    }

    /// The server's reason to end, where it has given one.
    pub(crate) fn last_words(mut self) -> Option<String> {
        let since = Instant::now();
        while since.elapsed() < LAST_WORDS && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let mut words = String::new();
        let _ = self.stdout.read_to_string(&mut words);
        words.lines().find_map(|line| line.strip_prefix("failed ")).map(Into::into)
    }

    /// Bytes of memory that it occupies, its page tables included.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.trim().parse().ok()
        };
        let kib = field("VmRSS:").zip(field("VmPTE:")).map(|(rss, tables)| rss + tables);
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("the kernel tells no memory"))
    }

    /// Ends it in an orderly way, so that strace writes its table.
    pub(crate) fn end(mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().map(drop)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Its input ends first: strace, when it is killed, would leave the server to that.
        drop(self.process.stdin.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's whole life; `args` are those after [`HIDDEN`].
pub(crate) fn main(args: impl Iterator<Item = String>) -> ExitCode {
    // However the parent ends, this read does too.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0)
    });
    panic::set_hook(Box::new(|panic| {
        let words = panic.payload();
        let words = words
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| words.downcast_ref::<&str>().copied());
        say_failed(&words.unwrap_or("it panicked"));
        process::exit(1)
    }));
    match serve(args) {
        Ok(()) => say_failed(&"it ended by itself"),
        Err(error) => say_failed(&error),
    }
    ExitCode::FAILURE
}

/// One line, whatever the reason holds.
fn say_failed(reason: &dyn std::fmt::Display) {
    let words = reason.to_string();
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stdout(), "failed {line}");
}

fn serve(mut args: impl Iterator<Item = String>) -> io::Result<()> {
    let usage = || io::Error::other("a server's arguments are SERVER WORKLOAD [CPU]");
    let server = args.next().and_then(|arg| Server::from_name(&arg)).ok_or_else(usage)?;
    let workload = args.next().and_then(|arg| Workload::from_name(&arg)).ok_or_else(usage)?;
    if let Some(cpu) = args.next() {
        // Before the server makes a thread: what it makes inherits this.
        pin(cpu.parse().map_err(|_| usage())?)?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listen(&listener, Backlog::new(BACKLOG)?)?;
    writeln!(io::stdout(), "ready {}", listener.local_addr()?.port())?;
    servers::serve(server, listener, workload)
}

/// Binds this thread, and those that it will make, to one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
