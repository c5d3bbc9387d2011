use std::future::poll_fn;
use std::io;

use super::Link;
use crate::net::{TcpListener, TcpStream};

async fn pair() -> (Link, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Link::from(ours), listener.accept().await.unwrap().0)
}

async fn read_to_end(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match peer.read(&mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

// Seen to fail when `put` looks for room as `write_all` does.
#[test]
fn put_takes_what_no_outbox_has_room_for_and_drained_waits_for_the_low_mark() {
    crate::runtime::run(async {
        let (ours, mut peer) = pair().await;
        let large = vec![7; 4 << 20];
        ours.put(&large).unwrap();
        ours.put(b"end").unwrap();
        assert!(ours.buffered() > 64 * 1024, "nobody reads");
        ours.write_eof().unwrap();
        assert_eq!(ours.put(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let reading = crate::task::spawn(async move { read_to_end(&mut peer).await });
        poll_fn(|cx| ours.poll_drained(cx, 1000)).await.unwrap();
        assert!(ours.buffered() <= 1000);
        let all = reading.await.unwrap().unwrap();
        assert_eq!((all.len(), &all[4 << 20..]), ((4 << 20) + 3, &b"end"[..]));
    });
}

#[test]
fn after_a_close_the_rest_is_read_and_the_bytes_and_the_descriptor_go() {
    crate::runtime::run(async {
        let (ours, mut peer) = pair().await;
        peer.write_all(b"unread").await.unwrap();
        let mut one = [0; 1];
        assert_eq!(poll_fn(|cx| ours.poll_read(cx, &mut one)).await.unwrap(), 1);
        let peer_addr = ours.peer_addr().unwrap().to_inet().unwrap();
        ours.put(&vec![1; 3 << 20]).unwrap();
        let other = ours.clone();
        ours.close();
        ours.close();
        assert!(other.is_closed());
        assert_eq!(other.put(b"x").unwrap_err().kind(), io::ErrorKind::NotConnected);
        let reading = crate::task::spawn(async move { read_to_end(&mut peer).await });
        other.closed().await.unwrap();
        assert!(other.0.closing.borrow().upgrade().is_none(), "the socket is gone");
        assert_eq!(reading.await.unwrap().unwrap().len(), 3 << 20);
        let mut rest = [0; 16];
        let n = poll_fn(|cx| other.poll_read(cx, &mut rest)).await.unwrap();
        assert_eq!(&rest[..n], b"nread");
        assert_eq!(poll_fn(|cx| other.poll_read(cx, &mut rest)).await.unwrap(), 0);
        assert_eq!(other.peer_addr().unwrap().to_inet().unwrap(), peer_addr, "it stays");
    });
}

#[test]
fn who_waits_for_the_close_is_told_why_the_bytes_did_not_leave() {
    crate::runtime::run(async {
        let (ours, peer) = pair().await;
        ours.put(&vec![1; 8 << 20]).unwrap();
        ours.close();
        peer.abort();
        let error = ours.closed().await.unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE)), "{error}");
        let again = ours.closed().await.unwrap_err();
        assert_eq!(again.raw_os_error(), error.raw_os_error());
    });
}

#[test]
fn an_abort_after_a_close_discards_what_the_close_would_send() {
    crate::runtime::run(async {
        let (ours, mut peer) = pair().await;
        ours.put(&vec![1; 8 << 20]).unwrap();
        ours.close();
        ours.abort();
        let _ = ours.closed().await;
        assert_eq!(ours.buffered(), 0);
        let error = read_to_end(&mut peer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}
