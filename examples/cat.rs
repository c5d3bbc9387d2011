//! Copies the standard input to the standard output, and says on the standard error how much it was.
//!
//! ```sh
//! cargo run --example cat < Cargo.toml > /dev/null
//! cargo run --example cat -- README.md Cargo.toml | head -n 3
//! ```
//!
//! Files are named as arguments, as with `cat(1)`. A reader that goes away (`head`) ends it: no SIGPIPE, but an
//! error like any other.

use std::io::{self, ErrorKind};

use ringloop::net::{PipeWriter, splice, stderr, stdin, stdout};

fn main() -> io::Result<()> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    ringloop::run(async {
        let mut output = stdout()?;
        let (copied, result) = copy_all(&paths, &mut output).await;
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            result => result?,
        }
        let mut errors = stderr()?;
        errors.write_all(format!("{copied} bytes\n").as_bytes()).await?;
        errors.flush().await
    })
}

/// How much was copied, also where it ended with an error.
async fn copy_all(paths: &[String], output: &mut PipeWriter) -> (u64, io::Result<()>) {
    let mut copied = 0;
    let result = async {
        for path in paths {
            let file = std::fs::File::open(path)?;
            copied += output.send_file(&file, &mut (0..u64::MAX)).await?;
        }
        if paths.is_empty() {
            let mut input = stdin()?;
            loop {
                match splice(&mut input, output, usize::MAX).await? {
                    0 => break,
                    n => copied += n as u64,
                }
            }
        }
        output.flush().await
    };
    let result = result.await;
    (copied, result)
}
