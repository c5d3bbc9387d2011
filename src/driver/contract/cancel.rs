//! Promise 4: a cancelled request ends, at every stage, with what it had done by then.

use super::*;

#[test]
fn a_request_that_is_cancelled_before_it_is_handed_over_ends() {
    each(|rig| {
        let (fd, _peer) = pair();
        let mut buf = [0; 8];
        let token = rig.submit(recv(fd, &mut buf));
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        let token = rig.submit(Request::Nop);
        rig.driver.cancel(token);
        assert!([0, -libc::ECANCELED].contains(&rig.end(token)));
        rig.close(fd);
    });
}

#[test]
fn a_request_that_waits_ends_and_its_bytes_stay() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let (listener, address) = listener();
        let mut buf = [0; 8];
        for request in [
            recv(fd, &mut buf),
            stream(fd, 0),
            Request::Poll { fd, events: libc::POLLIN as u32 },
            Request::Accept { fd: listener, multi: false },
            Request::Accept { fd: listener, multi: true },
        ] {
            let token = rig.submit(request);
            rig.rest();
            rig.driver.cancel(token);
            assert_eq!(rig.end(token), -libc::ECANCELED, "{request:?}");
        }
        write_all(&mut peer, b"kept");
        assert_eq!(rig.result(recv(fd, &mut buf)), 4);
        let _peer = TcpStream::connect(address).unwrap();
        let accepted = rig.result(Request::Accept { fd: listener, multi: false });
        rig.close(accepted);
        rig.close(listener);
        rig.close(fd);
    });
}

#[test]
fn a_pipe_read_that_waits_ends() {
    each(|rig| {
        let (reader, _writer) = std::io::pipe().unwrap();
        let fd = reader.into_raw_fd();
        let mut buf = [0; 8];
        let (ptr, len) = (buf.as_mut_ptr(), 8);
        let token = rig.submit(Request::Read { fd, ptr, len, offset: Request::POSITION });
        rig.rest();
        rig.driver.cancel(token);
        assert!([-libc::ECANCELED, -libc::EINTR].contains(&rig.end(token)));
        rig.close(fd);
    });
}

#[test]
fn a_cancel_of_what_is_done_or_unknown_is_nothing() {
    each(|rig| {
        let token = rig.submit(Request::Nop);
        assert_eq!(rig.end(token), 0);
        rig.driver.cancel(token);
        rig.driver.cancel(Token::new(7, 7));
        rig.driver.cancel(Token::new(1 << 20, 0));
        rig.rest();
        // The slot's next user is not the one that was meant.
        let (fd, mut peer) = pair();
        let mut buf = [0; 8];
        let next = rig.submit(recv(fd, &mut buf));
        assert_eq!(next.index(), token.index());
        rig.rest();
        rig.driver.cancel(token);
        rig.rest();
        assert!(rig.is_flying(next));
        write_all(&mut peer, b"x");
        assert_eq!(rig.end(next), 1);
        rig.close(fd);
    });
}

#[test]
fn a_send_that_is_cancelled_halfway_says_how_much_went() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let bytes = pattern(4 << 20);
        let token = rig.submit(send(fd, &bytes));
        rig.rest();
        assert!(rig.is_flying(token));
        rig.driver.cancel(token);
        let gone = rig.end(token);
        let forgotten = gone == -libc::ECANCELED && rig.forgets();
        assert!(forgotten || gone > 0 && gone < 4 << 20, "{gone}");
        // One that has sent nothing.
        let token = rig.submit(send(fd, b"nothing"));
        rig.rest();
        rig.driver.cancel(token);
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
        let got = read_all(&mut peer);
        assert!(got == bytes[..got.len()], "what went is no prefix");
        assert!(forgotten || got.len() == gone as usize);
    });
}

#[test]
fn the_next_in_line_goes_on_when_the_first_is_cancelled() {
    each(|rig| {
        let (fd, mut peer) = pair();
        let bytes = pattern(4 << 20);
        let first = rig.submit(send(fd, &bytes));
        let second = rig.submit(send(fd, b"after it"));
        rig.rest();
        rig.driver.cancel(first);
        let gone = rig.end(first);
        assert!(gone > 0 || gone == -libc::ECANCELED && rig.forgets(), "{gone}");
        let reader = std::thread::spawn(move || read_all(&mut peer));
        assert_eq!(rig.end(second), 8);
        rig.close(fd);
        let got = reader.join().unwrap();
        let (before, after) = got.split_at(got.len() - 8);
        assert_eq!(after, b"after it");
        assert!(before == &bytes[..before.len()] && (gone < 0 || before.len() == gone as usize));
    });
}

#[test]
fn cancels_of_file_requests_end_them_one_way_or_the_other() {
    each(|rig| {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let fd = file.into_raw_fd();
        let mut bufs = vec![[0u8; 64]; 50];
        let tokens: Vec<_> = bufs
            .iter_mut()
            .map(|buf| rig.submit(Request::Read { fd, ptr: buf.as_mut_ptr(), len: 64, offset: 0 }))
            .collect();
        rig.turn(Until::Now);
        for &token in tokens.iter().rev() {
            rig.driver.cancel(token);
        }
        for token in tokens {
            assert!([64, -libc::ECANCELED].contains(&rig.end(token)));
        }
        rig.close(fd);
    });
}

// Seen to hang, where each cancel misses at first (`RINGLOOP_TEST_CANCELS=1`), when each miss counted: so many
// were taken for the word that it had ended.
#[test]
fn one_that_is_asked_to_end_many_times_in_a_turn_ends() {
    each(|rig| {
        let (fd, _peer) = tcp_pair();
        let token = rig.submit(stream(fd, 0));
        rig.rest();
        (0..40).for_each(|_| rig.driver.cancel(token));
        assert_eq!(rig.end(token), -libc::ECANCELED);
        rig.close(fd);
    });
}

#[test]
fn a_multishot_that_is_cancelled_amid_traffic_ends_once_and_loses_nothing() {
    each(|rig| {
        let (fd, mut peer) = tcp_pair();
        let sent = pattern(1 << 20);
        let bytes = sent.clone();
        let writer = std::thread::spawn(move || write_all(&mut peer, &bytes));
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let token = rig.submit(stream(fd, 1 << 18));
            let (some, mut last) = rig.gather(token, 100_000);
            got.extend(some);
            rig.driver.cancel(token);
            while last.is_none() {
                let (some, end) = rig.gather(token, 1);
                got.extend(some);
                last = end;
            }
            let last = last.unwrap().result;
            let ends = [-libc::ECANCELED, -libc::ENOBUFS];
            assert!(last >= 0 || ends.contains(&last), "{last}");
        }
        assert!(got == sent);
        writer.join().unwrap();
        rig.close(fd);
    });
}
