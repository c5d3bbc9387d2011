//! Fetches a page by HTTP/1.0, with a reader and a writer.
//!
//! ```text
//! python3 -m http.server 8000 --bind 127.0.0.1          (in another terminal)
//! cargo run --example fetch -- http://127.0.0.1:8000/
//! ```
//!
//! The head of the answer goes to stderr, the page to stdout. It follows no redirections.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use ringloop::stream::open_connection;
use ringloop::time::timeout;

/// A head is short; who sends more in one line is no web server.
const LONGEST_LINE: usize = 8 * 1024;

async fn fetch(host: &str, path: &str) -> io::Result<()> {
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let (mut reader, writer) = open_connection(address).await?;
    reader.set_limit(LONGEST_LINE)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    writer.write_all(request.as_bytes()).await?;

    let mut head = reader.lines();
    let status = head.next_line().await?.unwrap_or_default();
    if !status.starts_with("HTTP/") {
        return Err(io::Error::new(ErrorKind::InvalidData, "this is no answer of HTTP"));
    }
    eprintln!("{status}");
    while let Some(line) = head.next_line().await?.filter(|line| !line.is_empty()) {
        eprintln!("{line}");
    }

    let (mut page, mut stdout) = (0, io::stdout());
    while let Some(chunk) = reader.read_chunk().await? {
        page += chunk.len();
        stdout.write_all(&chunk)?; // stdout may block: there is nothing else to do here
    }
    stdout.flush()?;
    eprintln!("{page} bytes");
    Ok(())
}

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("fetch: say what, such as http://127.0.0.1:8000/");
        return ExitCode::FAILURE;
    };
    let Some(rest) = url.strip_prefix("http://") else {
        eprintln!("fetch: '{url}' does not begin with http://, and it knows nothing else");
        return ExitCode::FAILURE;
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let limit = Duration::from_secs(30);
    match ringloop::run(async { timeout(limit, fetch(host, path)).await }) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("fetch: {url}: {error}");
            ExitCode::FAILURE
        }
        Err(elapsed) => {
            eprintln!("fetch: {url}: {elapsed}");
            ExitCode::FAILURE
        }
    }
}
