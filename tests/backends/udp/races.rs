//! Receivers that come and go at every moment: each datagram is taken once, by somebody.

use std::cell::RefCell;
use std::rc::Rc;

use ringloop::net::{Datagram, UdpSocket};
use ringloop::task::yield_now;
use ringloop::{JoinHandle, spawn};

use super::with_std;
use crate::support::run_on_each;
use crate::tcp::{poll_once, turns};

/// Datagrams under way at most: what the kernel has room for.
const WINDOW: usize = 40;
const ALL: u32 = 4000;

/// Numbers without a pattern, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

type Taken = Rc<RefCell<Vec<u32>>>;

fn note(taken: &Taken, datagram: &Datagram) {
    taken.borrow_mut().push(u32::from_ne_bytes(datagram[..].try_into().unwrap()));
}

/// One receive, in one of its forms.
async fn take(ours: Rc<UdpSocket>, taken: Taken, form: u64) {
    match form {
        0 => {
            let mut buf = [0; 8];
            let (len, _) = ours.recv_from(&mut buf).await.unwrap();
            taken.borrow_mut().push(u32::from_ne_bytes(buf[..len].try_into().unwrap()));
        }
        1 => {
            let mut batch = Vec::new();
            ours.recv_batch(&mut batch, 5).await.unwrap();
            batch.iter().for_each(|datagram| note(&taken, datagram));
        }
        2 => ours.readable().await.unwrap(),
        _ => {
            let datagram = ours.recv_chunk().await.unwrap();
            note(&taken, &datagram);
        }
    }
}

// Seen to fail when `recv_chunk` awaits something between taking a datagram and handing it out.
#[test]
fn each_datagram_is_taken_once_whoever_is_cut_off() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let (ours, taken) = (Rc::new(ours), Taken::default());
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        let mut sent = 0;
        while taken.borrow().len() < ALL as usize {
            match random.below(8) {
                0 | 1 => {
                    let form = random.below(6);
                    tasks.push(spawn(take(ours.clone(), taken.clone(), form)));
                }
                // Cut off, before or after its wake.
                2 if !tasks.is_empty() => {
                    let which = random.below(tasks.len() as u64) as usize;
                    tasks.swap_remove(which).cancel();
                }
                // By hand: polled once or twice, dropped or forgotten.
                3 => {
                    let mut receive = Box::pin(ours.recv_chunk());
                    for _ in 0..=random.below(2) {
                        if let std::task::Poll::Ready(datagram) = poll_once(&mut receive).await {
                            note(&taken, &datagram.unwrap());
                            break;
                        }
                        turns(random.below(3) as usize).await;
                    }
                    if random.below(20) == 0 {
                        std::mem::forget(receive);
                    }
                }
                4 => {
                    if let Ok(datagram) = ours.try_recv_chunk() {
                        note(&taken, &datagram);
                    }
                }
                _ => {
                    while sent < ALL && (sent as usize) < taken.borrow().len() + WINDOW {
                        theirs.send(&sent.to_ne_bytes()).unwrap();
                        sent += 1;
                        if random.below(4) == 0 {
                            break;
                        }
                    }
                }
            }
            tasks.retain(|task| !task.is_finished());
            if random.below(3) == 0 {
                yield_now().await;
            }
        }
        let mut taken = taken.take();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..ALL), "one was taken twice, and another never");
        assert_eq!(ours.dropped(), 0);
    });
}

// Seen to fail when it was only looked again for those who stand in the line.
#[test]
fn a_receiver_that_was_woken_and_never_looks_does_not_hide_what_has_come_from_a_try() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let mut never_looks = Box::pin(ours.recv_chunk());
        assert!(poll_once(&mut never_looks).await.is_pending());
        theirs.send(b"x").unwrap();
        let mut tries = 0;
        let datagram = loop {
            match ours.try_recv_chunk() {
                Ok(datagram) => break datagram,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            tries += 1;
            assert!(tries < 1000, "nobody takes it");
            turns(1).await;
        };
        assert_eq!(datagram[..], *b"x");
        assert!(poll_once(&mut never_looks).await.is_pending());
    });
}
