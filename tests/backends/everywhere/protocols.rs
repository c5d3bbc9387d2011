//! Connections of protocols.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ringloop::net::TcpListener;
use ringloop::protocol::{Protocol, Transport, connect_accepted_socket, create_connection};

use super::cut::{Cut, How};
use super::{Case, Ends, balanced, case, once};
use crate::tcp::{LOCAL, pair};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("create_connection"; connecting()),
        case!("connect_accepted_socket"; taking_over()),
        case!("Transport::wait_closed"; closing()),
    ]
}

/// Notes its callbacks.
#[derive(Clone, Default)]
struct Noting(Rc<RefCell<Vec<&'static str>>>);

impl Protocol for Noting {
    fn connection_made(&mut self, _transport: &Transport) {
        self.0.borrow_mut().push("made");
    }

    fn data_received(&mut self, _transport: &Transport, data: &[u8]) {
        assert_eq!(data, b"hello");
        self.0.borrow_mut().push("data");
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        assert!(error.is_none(), "{error:?}");
        self.0.borrow_mut().push("lost");
    }
}

impl Noting {
    /// Whoever was not waited for is closed, and was told so if it was told of anything.
    async fn after(&self, cut: Cut, got: Option<io::Result<Transport>>) -> Ends {
        let ends = got.is_some();
        if let Some(transport) = got {
            let transport = transport.unwrap();
            assert_eq!(self.0.borrow()[0], "made");
            transport.close();
            transport.wait_closed().await;
        }
        if cut.how != How::Forgotten {
            balanced(&cut).await;
            let all = self.0.borrow().join(" ");
            assert!(["", "made lost", "made data lost"].contains(&&*all), "{all}");
        }
        ends
    }
}

async fn connecting(cut: Cut) -> Ends {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let (noting, to) = (Noting::default(), listener.local_addr().unwrap());
    let got = cut.off(create_connection(|| noting.clone(), to), || {}).await;
    drop(listener);
    noting.after(cut, got).await
}

async fn taking_over(cut: Cut) -> Ends {
    let (ours, mut peer) = pair().await;
    peer.write_all(b"hello").await.unwrap();
    let noting = Noting::default();
    let got = cut.off(connect_accepted_socket(|| noting.clone(), ours), || {}).await;
    drop(peer);
    noting.after(cut, got).await
}

async fn closing(cut: Cut) -> Ends {
    let (ours, mut peer) = pair().await;
    let noting = Noting::default();
    let transport = connect_accepted_socket(|| noting.clone(), ours).await.unwrap();
    let got = cut.off(transport.wait_closed(), once(|| transport.close())).await;
    transport.wait_closed().await;
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(*noting.0.borrow(), ["made", "lost"]);
    got.is_some()
}
