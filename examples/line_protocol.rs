//! A protocol of lines: a calculator that adds up the numbers of each line that it is sent.
//!
//! ```text
//! cargo run --example line_protocol -- 127.0.0.1:7000
//! nc 127.0.0.1 7000                                    (in another terminal)
//! ```
//!
//! Without an address it asks itself some sums and ends.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use ringloop::net::TcpListener;
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket, create_connection};

/// The protocol: collects what comes until a line is whole. This is all there is to it.
#[derive(Default)]
struct Calculator {
    line: Vec<u8>,
}

impl Protocol for Calculator {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(b"numbers, please\n");
    }

    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let answer = sum(&String::from_utf8_lossy(&self.line));
                transport.write(answer.as_bytes());
                self.line.clear();
            }
        }
        if self.line.len() > 1000 {
            transport.write(b"that line is too long\n");
            transport.close(); // what was written is sent first
        }
    }
}

fn sum(line: &str) -> String {
    let sum: Result<f64, _> = line.split_whitespace().map(str::parse::<f64>).sum();
    match sum {
        Ok(sum) => format!("{sum}\n"),
        Err(_) => "these are not all numbers\n".to_owned(),
    }
}

/// The other side, which prints what it is told.
struct Questions;

impl Protocol for Questions {
    fn connection_made(&mut self, transport: &Transport) {
        transport.writelines(["1 2 3\n", "0.5 40 1.5\n", "one two\n"]);
        transport.write_eof();
    }

    fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
        print!("{}", String::from_utf8_lossy(data));
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        match error {
            None => println!("(the connection was closed)"),
            Some(error) => println!("(the connection was lost: {error})"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address: Option<SocketAddr> =
        std::env::args().nth(1).map(|text| text.parse()).transpose()?;
    ringloop::run(async {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address.unwrap_or(here)).await?;
        let to = listener.local_addr()?;
        println!("listening on {to}");
        let serving = ringloop::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await?;
                connect_accepted_socket(Calculator::default, stream).await?;
            }
        });
        if address.is_some() {
            return serving.await?;
        }
        create_connection(|| Questions, to).await?.wait_closed().await;
        Ok(())
    })
}
