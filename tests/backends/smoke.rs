//! The first thing a newcomer tries.

use ringloop::net::{TcpListener, TcpStream};

use crate::support::run_on_each;

#[test]
fn what_is_written_comes_back() {
    run_on_each(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ringloop::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            while let Some(chunk) = stream.read_chunk().await? {
                stream.write_chunk(chunk).await?;
            }
            stream.shutdown(std::net::Shutdown::Write).await
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        client.shutdown(std::net::Shutdown::Write).await.unwrap();
        let (mut got, mut buf) = (Vec::new(), [0; 3]);
        loop {
            match client.read(&mut buf).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&buf[..n]),
            }
        }
        assert_eq!(got, b"hello");
        server.await.unwrap().unwrap();
    });
}
