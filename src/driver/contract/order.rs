//! Promise 5: the two directions of a descriptor do not hold each other up.

use std::thread;

use super::*;

#[test]
fn a_full_read_side_does_not_hold_up_the_write_side() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let mut buf = [0; 8];
        let waiting = rig.submit(recv(fd, &mut buf));
        rig.rest();
        assert_eq!(rig.result(send(fd, b"out")), 3);
        assert_eq!(read_exact(&mut peer, 3), b"out");
        assert!(rig.is_flying(waiting));
        write_all(&mut peer, b"in");
        assert_eq!(rig.end(waiting), 2);
        rig.close(fd);
    });
}

#[test]
fn writes_at_the_position_of_a_file_keep_their_order() {
    each(|rig| {
        let path = std::env::temp_dir().join(format!("ringloop-order-{}", std::process::id()));
        let fd = std::fs::File::create(&path).unwrap().into_raw_fd();
        let bytes = pattern(100_000);
        let tokens: Vec<_> = bytes
            .chunks(1000)
            .map(|chunk| {
                let (ptr, len) = (chunk.as_ptr(), chunk.len() as u32);
                rig.submit(Request::Write { fd, ptr, len, offset: Request::POSITION })
            })
            .collect();
        for token in tokens {
            assert_eq!(rig.end(token), 1000);
        }
        rig.close(fd);
        assert!(std::fs::read(&path).unwrap() == bytes);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_busy_socket_does_not_starve_a_quiet_one() {
    each(|rig| {
        let (busy, mut busy_peer) = tcp_pair();
        let (quiet, mut quiet_peer) = tcp_pair();
        let mut heavy = rig.submit(stream(busy, 0));
        let mut light = rig.submit(stream(quiet, 0));
        rig.rest();
        let writer = thread::spawn(move || {
            let bytes = [1; 1 << 16];
            // Until the other side has heard the quiet one and closes.
            while busy_peer.write_all(&bytes).is_ok() {}
        });
        let (mut behind, mut refused) = (0, 0);
        while behind < 10_000 {
            let completion = rig.next(heavy);
            if completion.result > 0 {
                drop(rig.lease(completion));
            }
            if !completion.flags.more() {
                assert_eq!(completion.result, -libc::ENOBUFS);
                heavy = rig.submit(stream(busy, 0));
            }
            if behind == 0 {
                write_all(&mut quiet_peer, b"x");
            }
            behind += 1;
            match rig.take(light) {
                // Linux 6.1 lets the busy one take every buffer first. Then the quiet one has had its turn,
                // and has the next before the busy one.
                Some(completion) if completion.result == -libc::ENOBUFS => {
                    refused += 1;
                    assert!(refused <= 100, "the busy socket takes every buffer again and again");
                    light = rig.submit(stream(quiet, 0));
                }
                Some(completion) => {
                    assert_eq!(*rig.lease(completion), *b"x");
                    break;
                }
                None => {}
            }
        }
        assert!(behind < 10_000, "the quiet socket was not heard");
        for token in [heavy, light] {
            rig.driver.cancel(token);
            let ends = [-libc::ECANCELED, -libc::ENOBUFS];
            assert!(ends.contains(&rig.gather(token, usize::MAX).1.unwrap().result));
        }
        rig.close(busy);
        rig.close(quiet);
        writer.join().unwrap();
    });
}
