//! Streams, transports and servers in a child: copies of the parent's, which go on.

use std::cell::Cell;
use std::rc::Rc;

use ringloop::protocol::{Protocol, Transport, create_connection};
use ringloop::server::{Server, create_server, start_server};
use ringloop::stream::{Reader, Writer, copy, open_connection};
use ringloop::task::yield_now;

use super::{Child, alone, builders, poll_once, refused};

/// Counts what it hears.
struct Hearing(Rc<Cell<usize>>);

impl Protocol for Hearing {
    fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
        self.0.set(self.0.get() + data.len());
    }
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, transport: &Transport, data: &[u8]) {
        transport.write(data);
    }
}

struct World {
    servers: [Server; 2],
    reader: Reader,
    writer: Writer,
    transport: Transport,
    heard: Rc<Cell<usize>>,
}

async fn world() -> World {
    let echo = async |mut reader: Reader, writer: Writer| copy(&mut reader, &writer).await;
    let streams = start_server("127.0.0.1:0", echo).await.unwrap();
    let protocols = create_server(|| Echo, "127.0.0.1:0").await.unwrap();
    let (mut reader, writer) = open_connection(protocols.sockets()[0]).await.unwrap();
    let heard = Rc::new(Cell::new(0));
    let hearing = Hearing(heard.clone());
    let transport = create_connection(|| hearing, streams.sockets()[0]).await.unwrap();
    writer.write(b"hello").unwrap();
    reader.read_exact(&mut [0; 5]).await.unwrap();
    transport.write(b"hello");
    while heard.get() < 5 {
        yield_now().await;
    }
    World { servers: [streams, protocols], reader, writer, transport, heard }
}

async fn goes_on(mut world: World) {
    world.writer.write(b"more").unwrap();
    world.reader.read_exact(&mut [0; 4]).await.unwrap();
    world.transport.write(b"more");
    while world.heard.get() < 9 {
        yield_now().await;
    }
    for server in &world.servers {
        assert!(server.is_serving());
        assert_eq!(server.connections(), 1);
    }
    world.transport.close();
    world.transport.wait_closed().await;
    world.writer.close();
    world.writer.wait_closed().await.unwrap();
    for server in &world.servers {
        server.close();
        server.wait_closed().await;
    }
}

// What was written and had not left is the parent's to send, once.
#[test]
fn connections_that_are_used_and_dropped_in_a_child_are_the_parents() {
    let _alone = alone();
    for builder in builders() {
        for first in [false, true] {
            let mut kept = Some(builder.build().unwrap());
            let mut there = Some(kept.as_mut().unwrap().block_on(world()));
            // In flight at the fork.
            there.as_ref().unwrap().writer.write(b"on its way").unwrap();
            there.as_ref().unwrap().transport.write(b"on its way");
            Child::fork(|| {
                let mut world = there.take().unwrap();
                if first {
                    drop(kept.take());
                }
                refused("a write", std::task::Poll::Ready(world.writer.write(b"x")));
                assert!(!world.transport.write(b"x"));
                refused("a read", poll_once(world.reader.read(&mut [0; 4])));
                let _ = world.writer.write_eof();
                world.transport.close();
                world.transport.abort();
                for server in &world.servers {
                    server.close_clients();
                    server.abort_clients();
                    server.close();
                }
                world.writer.abort();
                assert!(poll_once(world.writer.wait_closed()).is_ready());
                drop(world);
            })
            .end();
            let mut world = there.take().unwrap();
            kept.as_mut().unwrap().block_on(async {
                let mut way = [0; 10];
                world.reader.read_exact(&mut way).await.unwrap();
                assert_eq!(&way, b"on its way");
                while world.heard.get() < 15 {
                    yield_now().await;
                }
                world.heard.set(5);
                goes_on(world).await;
            });
        }
    }
}
