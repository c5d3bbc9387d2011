//! The control connection: the clients say what begins and ends, and ask for the books.

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use ringloop::net::TcpStream;

use super::{Server, beside};

/// Answers until `end`, or until the clients are gone.
pub(super) async fn answer(
    server: &Rc<Server>,
    mut stream: TcpStream,
    seed: u64,
) -> io::Result<()> {
    let mut round = 0;
    while let Some(word) = read_line(&mut stream).await? {
        let answer = match word.as_str() {
            "on" => {
                round += 1;
                server.load.store(true, Ordering::Relaxed);
                server.elsewhere.unpark();
                beside::start(server, seed ^ round);
                String::new()
            }
            "off" => {
                server.load.store(false, Ordering::Relaxed);
                String::new()
            }
            "books" => server.books().line(),
            "end" => break,
            other => return Err(io::Error::other(format!("the clients say {other:?}"))),
        };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    server.load.store(false, Ordering::Relaxed);
    server.elsewhere.unpark();
    Ok(())
}

async fn read_line(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).await? == 1 {
        match byte[0] {
            b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            other => line.push(other),
        }
    }
    Ok(None)
}
