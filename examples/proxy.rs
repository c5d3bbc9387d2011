//! A proxy: what comes to one address goes to another, and back.
//!
//! ```text
//! cargo run --release --example proxy -- --listen 127.0.0.1:7001 --to 127.0.0.1:7000
//! ```
//!
//! Bytes go through without being copied. Whoever reads slowly holds his peer back, and the end of one
//! direction is passed on while the other goes on: `nc -N 127.0.0.1 7001 < question` gets its answer.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::rc::Rc;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::stream::{copy_bidirectional, open_connection};

async fn serve(listener: TcpListener, to: Rc<str>) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let to = to.clone();
        ringloop::spawn(async move {
            match forward(stream, &to).await {
                Ok((sent, received)) => println!("{peer}: {sent} bytes sent, {received} received"),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}

async fn forward(stream: TcpStream, to: &str) -> io::Result<(u64, u64)> {
    let (mut reader, writer) = stream.into_stream();
    let (mut their_reader, their_writer) = open_connection(to).await?;
    writer.set_nodelay(true)?;
    their_writer.set_nodelay(true)?;
    let both = copy_bidirectional((&mut reader, &writer), (&mut their_reader, &their_writer));
    both.await.inspect_err(|_| {
        // Neither side may take what it has for the whole.
        writer.abort();
        their_writer.abort();
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (listen, to) = parse(std::env::args().skip(1))?;
    ringloop::run(async {
        let listener = TcpListener::bind(&listen)
            .await
            .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        println!("from {} to {to}", listener.local_addr()?);
        io::stdout().flush()?;
        Ok(serve(listener, to.into()).await?)
    })
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(String, String), String> {
    let (mut listen, mut to) = ("127.0.0.1:7001".to_owned(), None);
    while let Some(name) = args.next() {
        match (name.as_str(), args.next()) {
            ("--listen", Some(address)) => listen = address,
            ("--to", Some(address)) => to = Some(address),
            _ => {
                return Err(format!(
                    "{name} makes no sense: there are --listen ADDR and --to ADDR"
                ));
            }
        }
    }
    Ok((listen, to.ok_or("say where to: --to ADDR, such as 127.0.0.1:7000")?))
}
