//! An echo server: what a client sends comes back.
//!
//! ```text
//! cargo run --release --example echo -- --port 7000
//! nc 127.0.0.1 7000                                    (in another terminal)
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::ExitCode;

use ringloop::Builder;
use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket};

async fn serve(listener: TcpListener, api: Api) -> io::Result<()> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        ringloop::spawn(async move {
            // An error, such as a reset, ends this connection and no other.
            let _ = match api {
                Api::Chunk => echo_chunks(stream).await,
                Api::Slice => echo_slices(stream).await,
                Api::Stream => echo_stream(stream).await,
                Api::Protocol => echo_protocol(stream).await,
            };
        });
    }
}

/// Sends the buffers back in which the bytes arrived: nothing is copied.
async fn echo_chunks(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    stream.shutdown(Shutdown::Write).await // what was received is sent, then FIN
}

/// The same with a buffer of its own, as in every other runtime.
async fn echo_slices(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return stream.shutdown(Shutdown::Write).await;
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// The same by asyncio's reader and writer: writes never wait, and `drain` waits for slow readers.
async fn echo_stream(stream: TcpStream) -> io::Result<()> {
    let (mut reader, writer) = stream.into_stream();
    writer.set_nodelay(true)?;
    while let Some(chunk) = reader.read_chunk().await? {
        writer.write_chunk(chunk)?;
        writer.drain().await?;
    }
    writer.write_eof()
}

/// The same by asyncio's callbacks; the connection is a task of its own from here on.
async fn echo_protocol(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    connect_accepted_socket(|| Echo, stream).await.map(drop)
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        if transport.write(data) {
            transport.pause_reading(); // the client is slow to read: no more of it until it has
        }
    }

    fn resume_writing(&mut self, transport: &Transport) {
        transport.resume_reading();
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut runtime = options.builder.build()?;
    let backend = runtime.backend().to_string();
    runtime.block_on(async {
        let listener = TcpListener::bind(options.address)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", options.address))?;
        writeln!(io::stdout(), "listening on {} ({backend})", listener.local_addr()?)?;
        io::stdout().flush()?;
        Ok(serve(listener, options.api).await?)
    })
}

#[derive(Clone, Copy)]
enum Api {
    Chunk,
    Slice,
    Stream,
    Protocol,
}

struct Options {
    address: SocketAddr,
    builder: Builder,
    api: Api,
}

const OPTIONS: &str = "--host IP, --port 0-65535, --backend auto|uring|epoll, --cpu N and --api chunk|slice|stream|protocol";

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
        let mut options = Self { address, builder: Builder::new(), api: Api::Chunk };
        while let Some(name) = args.next() {
            let value = args.next().unwrap_or_default();
            options.set(&name, &value).ok_or_else(|| {
                format!("{} makes no sense: there are {OPTIONS}", [name, value].join(" ").trim())
            })?;
        }
        Ok(options)
    }

    /// `None` where the option or its value makes no sense.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("--host", ip) => self.address.set_ip(ip.parse().ok()?),
            ("--port", port) => self.address.set_port(port.parse().ok()?),
            ("--backend", name) => _ = self.builder.backend(name.parse().ok()?),
            ("--cpu", number) => _ = self.builder.cpu(number.parse().ok()?),
            ("--api", "chunk") => self.api = Api::Chunk,
            ("--api", "slice") => self.api = Api::Slice,
            ("--api", "stream") => self.api = Api::Stream,
            ("--api", "protocol") => self.api = Api::Protocol,
            _ => return None,
        }
        Some(())
    }
}
