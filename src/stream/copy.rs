//! From a reader to a writer, without a copy.

use std::io;

use super::{Reader, Writer};
use crate::future::try_gather;

/// Writes to `writer` what `reader` reads, up to its end; returns how many bytes that were.
///
/// Pieces move from one connection to the other without being copied. A slow writer holds the reader
/// back. The end is not passed on: [`Writer::write_eof`].
///
/// # Errors
///
/// The reader's or the writer's.
///
/// # Cancel safety
///
/// Dropping it loses nothing: all that was read was handed to the writer.
///
/// # Examples
///
/// ```
/// # use ringloop::net::TcpListener;
/// # use ringloop::stream::{copy, open_connection};
/// # ringloop::run(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let (_, client) = open_connection(listener.local_addr()?).await?;
/// # client.write(b"hello")?;
/// # client.write_eof()?;
/// let (mut reader, writer) = listener.accept().await?.0.into_stream();
/// assert_eq!(copy(&mut reader, &writer).await?, 5); // an echo
/// writer.write_eof()?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn copy(reader: &mut Reader, writer: &Writer) -> io::Result<u64> {
    let mut copied = 0;
    while let Some(chunk) = reader.read_chunk().await? {
        copied += chunk.len() as u64;
        writer.write_chunk(chunk)?;
        writer.drain().await?;
    }
    Ok(copied)
}

/// Joins two connections: what one's reader reads is written to the other, both ways, until both have
/// ended; returns how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// The end of one direction is passed on while the other goes on: a half-close passes through. It
/// ends when the kernel has taken all.
///
/// # Errors
///
/// The first of the four sides' errors; the other direction stops there. Close or abort both.
///
/// # Cancel safety
///
/// Dropping it loses nothing: all that was read was handed to the other side.
///
/// # Examples
///
/// ```no_run
/// use ringloop::stream::{copy_bidirectional, open_connection, Reader, Writer};
///
/// async fn forward(mut reader: Reader, writer: Writer) -> std::io::Result<()> {
///     let (mut theirs, to_them) = open_connection("127.0.0.1:7000").await?;
///     copy_bidirectional((&mut reader, &writer), (&mut theirs, &to_them)).await?;
///     Ok(())
/// }
/// ```
pub async fn copy_bidirectional(
    a: (&mut Reader, &Writer),
    b: (&mut Reader, &Writer),
) -> io::Result<(u64, u64)> {
    try_gather((one_way(a.0, b.1), one_way(b.0, a.1))).await
}

async fn one_way(reader: &mut Reader, writer: &Writer) -> io::Result<u64> {
    let copied = copy(reader, writer).await?;
    match writer.write_eof() {
        // It is gone, and has had all.
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {}
        ended => ended?,
    }
    writer.flush().await?;
    Ok(copied)
}
