//! Servers: their starts, and waiting for their end.

use std::io;
use std::net::SocketAddr as InetAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use ringloop::net::UnixStream;
use ringloop::protocol::{Protocol, Transport};
use ringloop::server::{
    Server, create_server, create_unix_server, start_server, start_unix_server,
};
use ringloop::stream::{Reader, Writer, copy, open_connection};

use super::cut::{Cut, How};
use super::opening::{is_free, taken_for_a_moment};
use super::{Case, Ends, case, once};
use crate::tcp::LOCAL;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("start_server"; start(|to| Box::pin(start_server(to, echo)))),
        case!("ServerOptions::start_server"; start(|to| Box::pin(async move {
            Server::builder().max_connections(2).start_server(to, echo).await
        }))),
        case!("create_server"; start(|to| Box::pin(create_server(|| Echo, to)))),
        case!("ServerOptions::create_server"; start(|to| Box::pin(async move {
            Server::builder().start_serving(false).create_server(|| Echo, to).await
        }))),
        case!("start_unix_server", "ServerOptions::start_unix_server"; start_unix(false)),
        case!("create_unix_server", "ServerOptions::create_unix_server"; start_unix(true)),
        case!("Server::serve_forever"; serve_forever()),
        case!("Server::wait_closed"; wait_closed()),
        case!("Server::shutdown"; shutdown()),
    ]
}

async fn echo(mut reader: Reader, writer: Writer) -> io::Result<()> {
    copy(&mut reader, &writer).await.map(drop)
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

type Starting = std::pin::Pin<Box<dyn Future<Output = io::Result<Server>>>>;

async fn is_served(address: InetAddr) {
    let (mut reader, writer) = open_connection(address).await.unwrap();
    writer.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    reader.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

async fn start(cut: Cut, starting: fn(InetAddr) -> Starting) -> Ends {
    let taken = taken_for_a_moment();
    let address = taken.local_addr().unwrap();
    let got = cut.off(starting(address), once(|| drop(taken))).await;
    let ends = got.is_some();
    if let Some(server) = got {
        let server = server.unwrap();
        server.start_serving().unwrap();
        is_served(address).await;
        server.close();
        server.wait_closed().await;
    }
    is_free(address).await;
    ends
}

async fn start_unix(cut: Cut, protocols: bool) -> Ends {
    // Taken, for the moment: a start waits a few turns for it.
    // A name of its own: the one before is let go of some turns after its listener.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let name = format!("\0ringloop-serving-{}-{number}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
    let taken = UnixListener::bind_addr(&address).unwrap();
    let free = once(|| drop(taken));
    let got = match protocols {
        false => cut.off(start_unix_server(&name, echo), free).await,
        true => cut.off(create_unix_server(|| Echo, &name), free).await,
    };
    let ends = got.is_some();
    if let Some(server) = got {
        let server = server.unwrap();
        let mut stream = UnixStream::connect(&name).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 5);
        drop(stream);
        server.close();
        server.wait_closed().await;
    }
    drop(start_unix_server(&name, echo).await.unwrap());
    ends
}

async fn serve_forever(cut: Cut) -> Ends {
    let server = start_server(LOCAL, echo).await.unwrap();
    let address = server.sockets()[0];
    is_served(address).await;
    let got = cut.off(server.serve_forever(), || server.close()).await;
    if let Some(Err(error)) = &got {
        assert_eq!(error.to_string(), "the server is closed");
    }
    // Given up, it has closed the server, unless nobody had begun.
    if cut.how == How::Dropped && cut.polls > 0 {
        assert!(!server.is_serving());
    }
    server.close();
    server.wait_closed().await;
    got.is_some()
}

async fn wait_closed(cut: Cut) -> Ends {
    let server = start_server(LOCAL, echo).await.unwrap();
    is_served(server.sockets()[0]).await;
    let got = cut.off(server.wait_closed(), || server.close()).await;
    server.close();
    server.wait_closed().await;
    assert_eq!(server.connections(), 0);
    got.is_some()
}

async fn shutdown(cut: Cut) -> Ends {
    let server = start_server(LOCAL, echo).await.unwrap();
    let client = open_connection(server.sockets()[0]).await.unwrap();
    let shutdown = server.shutdown(Duration::from_secs(20));
    let got = cut.off(shutdown, once(|| drop(client))).await;
    assert_eq!(server.shutdown(Duration::from_secs(20)).await, 0);
    assert_eq!(server.connections(), 0);
    got.map(|aborted| assert_eq!(aborted, 0)).is_some()
}
