//! Random sends and reads: no byte and no descriptor is lost, doubled, overtaken or late.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use ringloop::net::UnixStream;
use ringloop::spawn;

use super::fds::{borrowed, numbered, numbers};
use crate::support::run_on_each;
use crate::tcp::{Numbers, check, pattern, poll_once, races, seed, turns};

/// Where each send with descriptors begins, and which they are.
type Sent = Rc<RefCell<VecDeque<(usize, u8)>>>;

const SENDS: usize = 120;

async fn send(mut stream: UnixStream, mut random: Numbers, sent: Sent) -> usize {
    let files = numbered(8);
    let mut at = 0;
    for _ in 0..SENDS {
        let most = [1, 10, 3000, 40_000][random.below(4)];
        let len = 1 + random.below(most);
        let bytes = pattern(at, len);
        if random.below(2) == 0 {
            let first = random.below(files.len());
            let some = &files[first..][..random.below(files.len() - first + 1)];
            let which = (first..).take(some.len()).map(|number| (at, number as u8));
            sent.borrow_mut().extend(which);
            stream.send_fds(bytes, &borrowed(some)).await.unwrap();
        } else {
            stream.write_all(bytes).await.unwrap();
        }
        at += len;
        turns(random.below(3)).await;
    }
    at
}

async fn receive(stream: &mut UnixStream, random: &mut Numbers, sent: &Sent) -> usize {
    stream.accept_fds().unwrap();
    let (mut at, mut buf) = (0, vec![0; 50_000]);
    loop {
        let most = [1, 10, 5000, 50_000][random.below(4)];
        let room = 1 + random.below(most);
        let buf = &mut buf[..room];
        let len = match random.below(6) {
            0 => {
                let n = stream.peek(buf).await.unwrap();
                check(&buf[..n], at);
                continue;
            }
            1 => {
                // Dropped in the middle.
                let _ = poll_once(&mut Box::pin(stream.peek(buf))).await;
                turns(random.below(2)).await;
                continue;
            }
            2 => {
                let n = stream.read(buf).await.unwrap();
                check(&buf[..n], at);
                n
            }
            3 => match stream.read_chunk().await.unwrap() {
                Some(chunk) => check(&chunk, at) - at,
                None => 0,
            },
            _ => {
                let (n, fds) = stream.recv_fds(buf).await.unwrap();
                check(&buf[..n], at);
                let mut sent = sent.borrow_mut();
                for number in numbers(fds) {
                    assert_eq!(sent.pop_front().map(|(_, number)| number), Some(number));
                }
                let late = sent.front().is_some_and(|(start, _)| *start < at + n);
                assert!(!late, "behind {} bytes: {sent:?}", at + n);
                n
            }
        };
        if len == 0 {
            return at;
        }
        at += len;
    }
}

// Seen to fail when descriptors came a byte late.
#[test]
fn whatever_is_sent_and_however_it_is_read_all_of_it_comes_in_order() {
    let seed = seed();
    for round in 0..races(10) as u64 {
        let seed = seed + round;
        eprintln!("seed {seed}");
        run_on_each(|| async move {
            let (one, mut other) = UnixStream::pair().unwrap();
            let sent = Sent::default();
            let sender = spawn(send(one, Numbers::new(seed), sent.clone()));
            let mut random = Numbers::new(!seed);
            let got = receive(&mut other, &mut random, &sent).await;
            // What came with bytes that a plain read has taken.
            let (n, fds) = other.recv_fds(&mut [0; 8]).await.unwrap();
            assert_eq!(n, 0);
            let left: Vec<u8> = sent.take().into_iter().map(|(_, number)| number).collect();
            assert_eq!(numbers(fds), left);
            assert_eq!(got, sender.await.unwrap());
        });
    }
}
