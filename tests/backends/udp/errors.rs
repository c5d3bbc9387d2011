//! What the network reports reaches the caller, and the socket lives.

use std::io::ErrorKind;

use ringloop::net::UdpSocket;
use ringloop::spawn;

use super::{LOCAL, nobody, pair};
use crate::support::run_on_each;
use crate::tcp::turns;

// Seen to fail when an error of a receive is taken for the end of it.
#[test]
fn a_host_where_nobody_listens_is_told_to_a_receive_and_then_the_socket_goes_on() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        let nobody = nobody();
        ours.connect(nobody).await.unwrap();
        for _ in 0..3 {
            ours.send(b"anybody?").await.unwrap();
            let error = ours.recv_chunk().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        let somebody = std::net::UdpSocket::bind(nobody).unwrap();
        ours.send(b"anybody?").await.unwrap();
        somebody.send_to(b"yes", ours.local_addr().unwrap()).unwrap();
        assert_eq!(&ours.recv_chunk().await.unwrap()[..], b"yes");
    });
}

#[test]
fn an_error_comes_behind_what_came_before_it_and_to_one_taker() {
    run_on_each(|| async {
        let (one, other) = pair().await;
        other.send(b"before").await.unwrap();
        one.readable().await.unwrap();
        drop(other);
        turns(3).await;
        // Either a later send hears of it, or the receive.
        let sent = one.send(b"gone?").await;
        let first = one.recv_chunk().await.unwrap();
        assert_eq!(&first[..], b"before");
        sent.unwrap();
        let one = std::rc::Rc::new(one);
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let one = one.clone();
                spawn(async move { one.recv_chunk().await })
            })
            .collect();
        let mut results = Vec::new();
        turns(3).await;
        // The second waits still: the socket lives.
        let address = one.peer_addr().unwrap();
        let again = std::net::UdpSocket::bind(address).unwrap();
        again.send_to(b"back", one.local_addr().unwrap()).unwrap();
        for taker in takers {
            results
                .push(taker.await.unwrap().map(|datagram| datagram.to_vec()).map_err(|e| e.kind()));
        }
        assert_eq!(results, [Err(ErrorKind::ConnectionRefused), Ok(b"back".to_vec())]);
    });
}

#[test]
fn what_outlives_its_runtime_says_so() {
    crate::support::on_each_backend(|builder| {
        let mut runtime = crate::support::build(builder);
        let ours = runtime.block_on(async {
            let ours = UdpSocket::bind(LOCAL).await.unwrap();
            let _ = crate::tcp::poll_once(&mut Box::pin(ours.recv_chunk())).await;
            ours
        });
        drop(runtime);
        let outside = ours.try_send_to(b"x", nobody()).unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::NotConnected);
        assert!(ours.try_recv_chunk().is_err() && ours.local_addr().is_err());
        crate::support::build(builder).block_on(async {
            let error = ours.recv_chunk().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            assert!(ours.send_to(b"x", nobody()).await.is_err());
        });
    });
}
