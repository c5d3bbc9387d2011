//! An echo server behind a Unix socket, and clients that talk to it.
//!
//! ```text
//! cargo run --example unix_echo                           # server and clients in one
//! cargo run --example unix_echo -- /tmp/echo.sock         # the server alone, until Ctrl-C
//! socat - UNIX-CONNECT:/tmp/echo.sock                     # a client, in another terminal
//! ```

use std::io;
use std::path::Path;

use ringloop::net::{UnixListener, UnixStream};
use ringloop::spawn;

fn main() -> io::Result<()> {
    match std::env::args().nth(1) {
        Some(path) => ringloop::run(serve_until_ctrl_c(path)),
        None => ringloop::run(demo()),
    }
}

async fn serve_until_ctrl_c(path: String) -> io::Result<()> {
    // What an earlier run left at the path is replaced; a file that is no socket is refused.
    let listener = UnixListener::bind(&path).await?;
    println!("listening at {path}");
    let server = spawn(serve(listener));
    ringloop::signal::ctrl_c().await?;
    // With its task goes the listener, and with that the file.
    server.cancel();
    let _ = server.await;
    println!("{path} is gone: {}", !Path::new(&path).exists());
    Ok(())
}

async fn demo() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("ringloop-echo-{}", std::process::id()));
    let server = spawn(serve(UnixListener::bind(&path).await?));
    let words = ["hello", "from", "three clients"];
    let clients: Vec<_> = words.map(|word| spawn(ask(path.clone(), word))).into();
    for client in clients {
        println!("answered: {}", client.await.expect("a client does not panic")?);
    }
    server.cancel();
    let _ = server.await;
    Ok(())
}

async fn serve(listener: UnixListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = stream.peer_cred()?;
        println!("process {:?} of user {} is here", peer.pid, peer.uid);
        drop(spawn(echo(stream)));
    }
}

async fn echo(mut stream: UnixStream) -> io::Result<()> {
    // Lent as it was received, and sent without a copy.
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    Ok(())
}

async fn ask(path: impl AsRef<Path>, word: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(word.as_bytes()).await?;
    stream.shutdown(std::net::Shutdown::Write).await?;
    let mut answer = Vec::new();
    while let Some(chunk) = stream.read_chunk().await? {
        answer.extend_from_slice(&chunk);
    }
    String::from_utf8(answer).map_err(io::Error::other)
}
