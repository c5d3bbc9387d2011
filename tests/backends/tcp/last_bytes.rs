//! How a stream may end with bytes in its outbox, and what the peer makes of it: all of them and the
//! end, or a reset; never the end after a part.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use bytes::Bytes;
use ringloop::Runtime;
use ringloop::net::{OwnedReadHalf, OwnedWriteHalf};

use super::*;
use crate::support::{build, on_each_backend};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Drop,
    Abort,
    /// The write half goes; the other reads on.
    WriteHalf,
    /// Both halves go, the reading one first.
    BothHalves,
    /// The runtime ends; a task holds the stream.
    EndOfTask,
    /// The runtime ends; the stream outlives it.
    EndOfOutlived,
    /// The runtime ends; the stream had just been dropped.
    EndOfDropped,
    /// The runtime ends; the write half had just been dropped and the other outlives it.
    EndOfHalf,
    /// The runtime ends; both halves outlive it, and the write half goes first.
    HalfAfterEnd,
}

const WAYS: [Way; 9] = [
    Way::Drop,
    Way::Abort,
    Way::WriteHalf,
    Way::BothHalves,
    Way::EndOfTask,
    Way::EndOfOutlived,
    Way::EndOfDropped,
    Way::EndOfHalf,
    Way::HalfAfterEnd,
];

/// Far more than the kernel takes ahead.
const LEN: usize = 8 << 20;

/// Ends a stream with most of its bytes in the outbox. Gives what lives on.
fn end(
    way: Way,
    mut runtime: Runtime,
    mut ours: TcpStream,
    much: &Bytes,
) -> Box<dyn std::any::Any> {
    runtime.block_on(async {
        ours.set_send_buffer_size(128 << 10).unwrap();
        ours.write_bytes(much.clone()).await.unwrap();
        turns(3).await;
    });
    let kept: Box<dyn std::any::Any> = runtime.block_on(async move {
        match way {
            Way::Drop | Way::EndOfDropped => drop(ours),
            Way::Abort => ours.abort(),
            Way::WriteHalf | Way::EndOfHalf => return Box::new(ours.into_split().0) as _,
            Way::BothHalves => {
                let (read, write) = ours.into_split();
                drop(read);
                turns(2).await;
                drop(write);
            }
            Way::EndOfTask => {
                ringloop::spawn(async move {
                    let _ours = ours;
                    std::future::pending::<()>().await;
                });
                turns(2).await;
            }
            Way::EndOfOutlived => return Box::new(ours) as _,
            Way::HalfAfterEnd => return Box::new(ours.into_split()) as _,
        }
        Box::new(()) as _
    });
    match way {
        Way::Drop | Way::Abort | Way::WriteHalf | Way::BothHalves => {
            // It goes by itself; whoever reads is waited for, whoever does not is given up.
            runtime.block_on(until(|| ringloop::metrics().timers == 0));
            if way != Way::WriteHalf {
                runtime.block_on(until(|| ringloop::metrics().in_flight == 0));
            }
            Box::new((kept, runtime))
        }
        _ => {
            drop(runtime);
            match kept.downcast::<(OwnedReadHalf, OwnedWriteHalf)>() {
                Ok(halves) => Box::new(halves.0),
                Err(kept) => kept,
            }
        }
    }
}

// Seen to fail when a dropped stream discards its outbox, when an abort closes plainly (`cut_off` that
// does nothing), when the end of the runtime does not flush, and when a write half's bytes are not
// followed by shutdown(2), also after the end of the runtime.
#[test]
fn a_peer_that_reads_gets_all_and_the_end_or_a_reset() {
    let much = Bytes::from(pattern(0, 251 * 241).repeat(LEN / (251 * 241) + 1)).slice(..LEN);
    on_each_backend(|builder| {
        for way in WAYS {
            let mut runtime = build(builder);
            let (ours, mut theirs) = runtime.block_on(with_std());
            theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let peer = std::thread::spawn(move || drain_pattern(&mut theirs));
            let kept = end(way, runtime, ours, &much);
            let heard = match way {
                // The stream is whole; only its own drop says the end.
                Way::EndOfOutlived => {
                    drop(kept);
                    peer.join().unwrap()
                }
                _ => {
                    let heard = peer.join().unwrap();
                    drop(kept);
                    heard
                }
            };
            match (way, heard) {
                (Way::Abort, Ok(n)) => assert_eq!(n, LEN, "an end after a part"),
                (Way::Abort, Err(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                (_, Ok(n)) => assert_eq!(n, LEN, "{way:?}: an end after a part"),
                (_, Err(error)) => panic!("{way:?}: the bytes were not sent: {error}"),
            }
        }
    });
}

// Seen to fail when what is given up is closed plainly: `cut_off` that does nothing; and when a write half
// that goes after that is the end.
#[test]
fn a_peer_that_does_not_read_in_time_gets_a_reset_and_no_end() {
    let much = Bytes::from(pattern(0, 251 * 241).repeat(LEN / (251 * 241) + 1)).slice(..LEN);
    on_each_backend(|builder| {
        for way in WAYS {
            let short = Duration::from_millis(30);
            let mut runtime = build(builder.grace(short).linger(short));
            let (ours, mut theirs) = runtime.block_on(with_std());
            theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let kept = end(way, runtime, ours, &much);
            let mut got = Vec::new();
            // What is there while something lives on; then the rest.
            theirs.set_nonblocking(true).unwrap();
            let mut heard = theirs.read_to_end(&mut got);
            drop(kept);
            theirs.set_nonblocking(false).unwrap();
            if heard.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                heard = theirs.read_to_end(&mut got).map(|_| got.len());
            }
            match heard {
                Ok(n) => panic!("{way:?}: an end after {n} of {LEN} bytes"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way:?}"),
            }
        }
    });
}
