//! A chat: each line that somebody writes goes to everybody else.
//!
//! ```text
//! cargo run --example chat -- 127.0.0.1:7000
//! nc 127.0.0.1 7000                                    (in other terminals)
//! ```
//!
//! Somebody who does not read (stop a `nc` by Ctrl-Z) is held back: above the high mark of its transport it
//! misses lines, is told how many when it reads again, and neither fills the memory nor holds up the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ringloop::net::TcpListener;
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket};

/// Everybody who is here, by number.
#[derive(Clone, Default)]
struct Room(Rc<RefCell<BTreeMap<u32, Guest>>>);

struct Guest {
    transport: Transport,
    /// Lines that it missed since it stopped reading; `None` while it reads.
    missed: Option<usize>,
}

impl Room {
    /// Sends a line to all but one. A transport takes it and calls nobody, so the room may stay borrowed.
    fn say(&self, line: &str, but: u32) {
        println!("{}", line.trim_end());
        for (_, guest) in self.0.borrow_mut().iter_mut().filter(|(id, _)| **id != but) {
            match &mut guest.missed {
                Some(missed) => *missed += 1,
                None if guest.transport.write(line.as_bytes()) => guest.missed = Some(0),
                None => {}
            }
        }
    }
}

/// The protocol of a guest.
struct Chat {
    id: u32,
    room: Room,
    line: Vec<u8>,
}

impl Protocol for Chat {
    fn connection_made(&mut self, transport: &Transport) {
        let guest = Guest { transport: transport.clone(), missed: None };
        self.room.0.borrow_mut().insert(self.id, guest);
        transport.write(format!("welcome, guest {}\n", self.id).as_bytes());
        self.room.say(&format!("* guest {} comes in\n", self.id), self.id);
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                self.room.say(&format!("guest {}: {line}", self.id), self.id);
            }
        }
        if self.line.len() > 10_000 {
            transport.write(b"* that line is too long\n");
            transport.close();
        }
    }

    fn resume_writing(&mut self, transport: &Transport) {
        let mut room = self.room.0.borrow_mut();
        let missed = room.get_mut(&self.id).and_then(|guest| guest.missed.take());
        if let Some(missed @ 1..) = missed {
            transport.write(format!("* you missed {missed} lines\n").as_bytes());
        }
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.room.0.borrow_mut().remove(&self.id);
        let why = error.map_or_else(String::new, |error| format!(" ({error})"));
        self.room.say(&format!("* guest {} has gone{why}\n", self.id), self.id);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let address: SocketAddr = address.parse()?;
    ringloop::run(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let room = Room::default();
        for id in 1.. {
            let (stream, _peer) = listener.accept().await?;
            let chat = || Chat { id, room: room.clone(), line: Vec::new() };
            connect_accepted_socket(chat, stream).await?;
        }
        Ok(())
    })
}
