//! The servers, each in the form in which its users would write it.

use std::io::{self, Write as _};
use std::net::UdpSocket as StdSocket;

use ringloop::net::{Transmit, UdpSocket};
use ringloop::{BackendChoice, Builder};

use crate::limit;

/// The first one is what the others are compared with.
pub(crate) const NAMES: [&str; 5] =
    ["limit-uring", "ringloop", "ringloop-batches", "ringloop-epoll", "tokio"];

/// Says its port, and serves until the process ends.
pub(crate) fn serve(name: &str) -> io::Result<()> {
    let socket = StdSocket::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", socket.local_addr()?.port())?;
    match name {
        "limit-uring" => limit::serve(&socket),
        "ringloop" => ringloop(socket, BackendChoice::Uring, one_by_one),
        "ringloop-batches" => ringloop(socket, BackendChoice::Uring, by_batches),
        "ringloop-epoll" => ringloop(socket, BackendChoice::Epoll, one_by_one),
        "tokio" => tokio(socket),
        _ => Err(io::Error::other(format!("there is no server {name}"))),
    }
}

fn ringloop<F: Future<Output = io::Result<()>>>(
    socket: StdSocket,
    backend: BackendChoice,
    serve: impl Fn(UdpSocket) -> F,
) -> io::Result<()> {
    let mut runtime = Builder::new().backend(backend).build()?;
    runtime.block_on(async {
        let socket = UdpSocket::from_std(socket)?;
        socket.set_gro(true)?;
        serve(socket).await
    })
}

async fn one_by_one(socket: UdpSocket) -> io::Result<()> {
    loop {
        let datagram = socket.recv_chunk().await?;
        match datagram.segment_size() {
            Some(size) => {
                socket.send_segments(&datagram, size as u16, datagram.addr()).await?;
            }
            None => {
                socket.send_to(&datagram, datagram.addr()).await?;
            }
        }
    }
}

async fn by_batches(socket: UdpSocket) -> io::Result<()> {
    let mut datagrams = Vec::new();
    loop {
        socket.recv_batch(&mut datagrams, 32).await?;
        let answers: Vec<_> = datagrams
            .iter()
            .map(|datagram| {
                let answer = Transmit::new(datagram).to(datagram.addr());
                let size = datagram.segment_size();
                size.map_or(answer, |size| answer.segment_size(size as u16))
            })
            .collect();
        let mut sent = 0;
        while sent < answers.len() {
            sent += socket.send_batch(&answers[sent..]).await?;
        }
        drop(answers);
        datagrams.clear();
    }
}

fn tokio(socket: StdSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let mut buf = vec![0; 1 << 16];
        loop {
            let (len, from) = socket.recv_from(&mut buf).await?;
            socket.send_to(&buf[..len], from).await?;
        }
    })
}
