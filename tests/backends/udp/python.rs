//! A real peer: Python's asyncio, as server and as client.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ringloop::net::UdpSocket;
use ringloop::spawn;
use ringloop::time::timeout;

use super::LOCAL;
use crate::support::run_on_each;
use crate::tcp::pattern;

/// Says its port, and sends back whatever comes.
const SERVER: &str = "
import asyncio
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
        print(transport.get_extra_info('sockname')[1], flush=True)
    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)
async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, local_addr=('127.0.0.1', 0))
    await asyncio.sleep(60)
asyncio.run(main())
";

/// Sends datagrams of many lengths from a connected endpoint, one by one, and compares what comes back.
const CLIENT: &str = "
import asyncio, sys
class Ask(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()
    def datagram_received(self, data, addr):
        self.answers.put_nowait(data)
    def error_received(self, error):
        self.answers.put_nowait(error)
async def main():
    loop = asyncio.get_running_loop()
    to = ('127.0.0.1', int(sys.argv[1]))
    transport, ask = await loop.create_datagram_endpoint(Ask, remote_addr=to)
    for n in [1, 2, 1000, 1472, 1473, 16384, 65507] + list(range(1, 300)):
        sent = bytes([n % 256]) * n
        transport.sendto(sent)
        got = await asyncio.wait_for(ask.answers.get(), 20)
        assert got == sent, (n, got if isinstance(got, Exception) else len(got))
    transport.close()
asyncio.run(main())
";

struct Python(Child);

impl Python {
    /// `None` without Python.
    fn start(script: &str, argument: &str) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", script, argument]).stdin(Stdio::null()).stdout(Stdio::piped());
        match command.spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                eprintln!("skipped: no python3 ({error})");
                None
            }
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pythons_endpoint_gives_every_datagram_back() {
    run_on_each(|| async {
        let Some(mut python) = Python::start(SERVER, "") else { return };
        let mut port = String::new();
        BufReader::new(python.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        ours.connect(("127.0.0.1", port.trim().parse::<u16>().unwrap())).await.unwrap();
        // Before Python 3.13 it sends no empty ones.
        for len in [1, 1473, 65_507, 16_384].into_iter().chain(1..100) {
            ours.send(pattern(len, len)).await.unwrap();
            let answer = timeout(Duration::from_secs(20), ours.recv_chunk()).await.unwrap();
            assert!(answer.unwrap()[..] == *pattern(len, len), "{len} bytes");
        }
    });
}

#[test]
fn pythons_client_gets_every_datagram_back() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let port = ours.local_addr().unwrap().port();
        let Some(mut python) = Python::start(CLIENT, &port.to_string()) else { return };
        let echo = spawn(async move {
            loop {
                let datagram = ours.recv_chunk().await.unwrap();
                ours.send_to(&datagram, datagram.addr()).await.unwrap();
            }
        });
        let status = loop {
            if let Some(status) = python.0.try_wait().unwrap() {
                break status;
            }
            ringloop::time::sleep(Duration::from_millis(2)).await;
        };
        echo.cancel();
        assert!(status.success(), "{status}");
    });
}
