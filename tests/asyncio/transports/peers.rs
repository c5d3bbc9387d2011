//! asyncio itself at the other end, by its own protocols: `peers.py`. Without a `python3` there is nothing to test.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::rc::Rc;

use ringloop::net::TcpListener;
use ringloop::protocol::{Eof, Protocol, Transport, connect_accepted_socket, create_connection};
use ringloop::{spawn, spawn_blocking};

use super::{Log, Noting};
use crate::support::run_on_each;

pub(super) fn python(args: &[&str]) -> Option<Command> {
    let there = Command::new("python3").arg("-c").arg("import asyncio").output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no python3");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg("-c").arg(include_str!("peers.py")).args(args);
    Some(command)
}

/// Holds back a peer that does not take what it gets.
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

// PR-01 to PR-05, TR-11, TR-12; checks 110, 112, 116, 117.
#[test]
fn asyncios_clients_get_back_what_they_sent_and_the_end() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let Some(mut python) = python(&["client", &port]) else { return };
        let serving = spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connect_accepted_socket(|| Echo, stream).await.unwrap();
            }
        });
        let status = spawn_blocking(move || python.status().unwrap()).await.unwrap();
        assert!(status.success(), "its words are above");
        serving.cancel();
    });
}

/// Sends so many bytes, as its transport takes them, and checks what comes back.
struct Client {
    size: usize,
    sent: usize,
    received: Rc<Cell<usize>>,
    ended: Rc<Cell<bool>>,
}

impl Client {
    fn send(&mut self, transport: &Transport) {
        while self.sent < self.size {
            let len = (self.size - self.sent).min(1 + self.sent % 90_000);
            let data: Vec<u8> = (self.sent..self.sent + len).map(|at| (at % 251) as u8).collect();
            self.sent += len;
            if transport.write_bytes(data) {
                return;
            }
        }
        transport.write_eof();
    }
}

impl Protocol for Client {
    fn connection_made(&mut self, transport: &Transport) {
        self.send(transport);
    }

    fn resume_writing(&mut self, transport: &Transport) {
        self.send(transport);
    }

    fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
        let before = self.received.get();
        let right = data.iter().enumerate().all(|(n, got)| *got == ((before + n) % 251) as u8);
        assert!(right, "wrong bytes behind {before}");
        self.received.set(before + data.len());
    }

    fn eof_received(&mut self, _transport: &Transport) -> Eof {
        self.ended.set(true);
        Eof::Close
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        assert!(error.is_none(), "{error:?}");
    }
}

// PR-01 to PR-05, TR-11, TR-12; checks 110, 112, 116, 117.
#[test]
fn asyncios_server_gives_back_what_was_sent_and_the_end() {
    run_on_each(|| async {
        let Some(mut python) = python(&["server"]) else { return };
        let mut server = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        let line = move || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line
        };
        let port: u16 = spawn_blocking(line).await.unwrap().trim().parse().unwrap();
        let mut clients = Vec::new();
        for number in 0..100 {
            let size = if number == 0 { 8 << 20 } else { 1 << (number % 21) };
            let (received, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let seen = (received.clone(), ended.clone());
            let client = || Client { size, sent: 0, received, ended };
            let transport = create_connection(client, ("127.0.0.1", port)).await.unwrap();
            clients.push((transport, size, seen));
        }
        // One whose peer aborts.
        let log = Log::default();
        let aborted = create_connection(|| Noting::quiet(&log), ("127.0.0.1", port)).await.unwrap();
        aborted.write(b"please abort!");
        aborted.wait_closed().await;
        assert!(log.all() == "made eof lost" || log.all() == "made lost:ConnectionReset");
        for (transport, size, (received, ended)) in clients {
            transport.wait_closed().await;
            assert_eq!((received.get(), ended.get()), (size, true));
        }
        drop(server.stdin.take());
        assert!(server.wait().unwrap().success());
    });
}
