//! Quiet sends: each ends exactly once, also when nothing says so.

use super::*;

fn quiet(fd: RawFd, bytes: &[u8]) -> Request {
    Request::Send { fd, ptr: bytes.as_ptr(), len: bytes.len() as u32, quiet: true }
}

#[test]
fn a_quiet_send_is_answered_by_the_wait_that_hands_it_over() {
    each(|rig| {
        let (fd, mut peer) = pair();
        for round in 0..100u8 {
            let bytes = [round; 100];
            let token = rig.submit(quiet(fd, &bytes));
            rig.turn(Until::Now);
            assert_eq!(rig.take(token).expect("its end").result, 100);
            assert_eq!(read_exact(&mut peer, 100), bytes);
        }
        rig.close(fd);
    });
}

#[test]
fn a_turn_of_many_quiet_sends_ends_them_all() {
    each(|rig| {
        let pairs: Vec<_> = (0..100).map(|_| pair()).collect();
        let tokens: Vec<_> = pairs.iter().map(|(fd, _)| rig.submit(quiet(*fd, b"hello"))).collect();
        for token in tokens {
            assert_eq!(rig.end(token), 5);
        }
        for (fd, mut peer) in pairs {
            assert_eq!(read_exact(&mut peer, 5), b"hello");
            rig.close(fd);
        }
    });
}

#[test]
fn a_quiet_send_that_fails_says_so() {
    each(|rig| {
        let (fd, peer) = pair();
        drop(peer);
        assert_eq!(rig.result(quiet(fd, b"x")), -libc::EPIPE);
        assert_eq!(rig.result(quiet(1 << 16, b"x")), -libc::EBADF);
        rig.close(fd);
    });
}

#[test]
fn a_quiet_send_without_room_is_never_taken_for_sent() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let bytes = pattern(8 << 20);
        let reader = std::thread::spawn(move || read_all(&mut peer));
        let mut sent = 0;
        while sent < bytes.len() {
            let token = rig.submit(quiet(fd, &bytes[sent..]));
            rig.turn(Until::Now);
            // What it did not take is sent plainly, as a socket does it.
            sent += match rig.end(token) {
                went @ 0.. => went as usize,
                error => {
                    assert_eq!(error, -libc::EAGAIN);
                    rig.result(send(fd, &bytes[sent..bytes.len().min(sent + 4096)])) as usize
                }
            };
        }
        rig.close(fd);
        assert!(reader.join().unwrap() == bytes);
    });
}

#[test]
fn a_sleep_is_not_ended_by_a_quiet_send_and_ends_it() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let (other, mut its_peer) = pair();
        let mut buf = [0; 8];
        let waiting = rig.submit(recv(other, &mut buf));
        rig.rest();
        let token = rig.submit(quiet(fd, b"ping"));
        // The peer answers elsewhere, and only what it answers may end the sleep.
        let answer = std::thread::spawn(move || {
            assert_eq!(read_exact(&mut peer, 4), b"ping");
            write_all(&mut its_peer, b"pong");
            (peer, its_peer)
        });
        assert_eq!(rig.end(waiting), 4);
        assert_eq!(rig.end(token), 4);
        answer.join().unwrap();
        rig.close(fd);
        rig.close(other);
    });
}
