//! The server as the clients see it: a process, and a connection on which it answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::books::Books;
use crate::plan::{Mode, Plan};

/// How long the server may take for an answer. It is one thread, and under load.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Link {
    pub(super) address: SocketAddrV4,
    pub(super) backend: String,
    control: Mutex<BufReader<TcpStream>>,
    child: Mutex<Child>,
}

impl Link {
    pub(super) fn start(args: &Args) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| format!("this program: {e}"))?;
        let mut child = Command::new(program)
            .args(args.of_server())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("the server does not start: {e}"))?;
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        output.read_line(&mut line).map_err(|e| format!("the server's first line: {e}"))?;
        let (port, backend) = line.trim().split_once(' ').ok_or("the server did not start")?;
        let port = port.parse().map_err(|e| format!("the server's port: {e}"))?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let control = TcpStream::connect(address)
            .and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                (&stream)
                    .write_all(&Plan { mode: Mode::Control, number: 0, amount: 0 }.encode())?;
                Ok(stream)
            })
            .map_err(|e| format!("the control connection: {e}"))?;
        Ok(Self {
            address,
            backend: backend.to_owned(),
            control: Mutex::new(BufReader::new(control)),
            child: Mutex::new(child),
        })
    }

    /// Says a word and returns the line that comes back.
    pub(super) fn ask(&self, word: &str) -> Result<String, String> {
        let mut control = self.control.lock().expect("nobody panics over it");
        let mut line = String::new();
        let answered = control
            .get_mut()
            .write_all(format!("{word}\n").as_bytes())
            .and_then(|()| control.read_line(&mut line));
        match answered {
            Ok(1..) => Ok(line.trim().to_owned()),
            Ok(0) => Err(format!("the server has gone: {word:?} was not answered")),
            Err(error) => Err(format!("the server hangs or is gone: {word:?}: {error}")),
        }
    }

    pub(super) fn books(&self) -> Result<Books, String> {
        let line = self.ask("books")?;
        Books::parse(&line).ok_or_else(|| format!("the books are {line:?}"))
    }

    /// How the server's process has ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        // Its sockets are closed a moment before it can be waited for.
        thread::park_timeout(Duration::from_millis(200));
        self.child.lock().expect("nobody panics over it").try_wait().ok().flatten()
    }

    /// CPU nanoseconds that the server's own thread has used.
    pub(super) fn cpu_time(&self) -> Result<u64, String> {
        let pid = self.child.lock().expect("nobody panics over it").id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"));
        let text = text.map_err(|e| format!("the server's CPU time: {e}"))?;
        let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
        nanos.ok_or_else(|| format!("the server's CPU time is {text:?}"))
    }

    /// Has the server end by itself.
    pub(super) fn end(&self) -> Result<(), String> {
        let mut control = self.control.lock().expect("nobody panics over it");
        let said = control.get_mut().write_all(b"end\n");
        said.and_then(|()| control.read_to_end(&mut Vec::new()))
            .map_err(|e| format!("the server does not end: {e}"))?;
        let mut child = self.child.lock().expect("nobody panics over it");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match child.try_wait().map_err(|e| format!("the server's end: {e}"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}")),
                None if Instant::now() > deadline => return Err("the server does not end".into()),
                None => thread::park_timeout(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
