//! What comes: made first, data in order, held back, the peer's end.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;

use ringloop::net::{TcpListener, TcpStream};
use ringloop::protocol::{BufferedProtocol, Transport, connect_accepted_socket, create_connection};

use super::{Log, Noting, connected, pair, read_to_end, some_turns};
use crate::support::run_on_each;

// PR-01, L-17, check 108.
// Seen to fail when `begin` did not wait for the pump.
#[test]
fn made_comes_before_the_call_returns_and_before_any_byte() {
    run_on_each(|| async {
        let log = Log::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let transport = create_connection(|| Noting::quiet(&log), to).await.unwrap();
        assert_eq!(log.all(), "made");
        transport.abort();

        let (ours, mut peer) = pair().await;
        peer.write_all(b"early").await.unwrap();
        peer.flush().await.unwrap();
        let log = Log::default();
        connect_accepted_socket(|| Noting::quiet(&log), ours).await.unwrap();
        assert!(log.all().starts_with("made"));
        log.until_received(5).await;
        drop(peer);
        log.until_lost().await;
        assert_eq!(log.all(), "made data eof lost");
    });
}

// PR-01, PR-19, check 108.
#[test]
fn a_connection_that_is_refused_makes_no_protocol() {
    run_on_each(|| async {
        let to = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let factory = || -> Noting { panic!("there is nothing to make it for") };
        let error = create_connection(factory, to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

// TR-05, TR-06, check 108.
#[test]
fn a_pause_in_made_holds_back_what_is_there_already() {
    run_on_each(|| async {
        let (ours, mut peer) = pair().await;
        peer.write_all(b"early").await.unwrap();
        peer.flush().await.unwrap();
        let log = Log::default();
        let pausing = Noting::new(&log, |what, transport| {
            if what == "made" {
                transport.pause_reading();
            }
        });
        let transport = connect_accepted_socket(|| pausing, ours).await.unwrap();
        some_turns().await;
        assert!(!transport.is_reading() && !transport.is_closing());
        assert_eq!(log.all(), "made");
        transport.resume_reading();
        assert_eq!(log.all(), "made", "nothing is called inline");
        log.until_received(5).await;
        assert_eq!(log.received(), b"early");
        transport.abort();
    });
}

// TR-05, TR-06, TR-07, check 109.
// Seen to fail when the pump looked at `reading` once a poll.
#[test]
fn nothing_is_delivered_while_paused_and_everything_once_in_order_afterwards() {
    run_on_each(|| async {
        let log = Log::default();
        // Pauses again within each delivery.
        let (transport, mut peer) = connected(Noting::new(&log, |what, transport| {
            if what == "data" {
                transport.pause_reading();
                transport.pause_reading();
            }
        }))
        .await;
        // Paused while a receive is in flight, which completes.
        some_turns().await;
        transport.pause_reading();
        let sent: Vec<u8> = (0..400_000u32).map(|n| (n % 251) as u8).collect();
        let all = sent.clone();
        let sending = ringloop::spawn(async move {
            peer.write_all(&all).await.unwrap();
            peer.shutdown(std::net::Shutdown::Write).await.unwrap();
            peer
        });
        some_turns().await;
        assert_eq!(log.all(), "made");
        let mut deliveries = 0;
        while log.received().len() < sent.len() {
            let before = log.received().len();
            transport.resume_reading();
            transport.resume_reading();
            log.until_received(before + 1).await;
            some_turns().await;
            assert!(!transport.is_reading(), "it paused in the delivery");
            deliveries += 1;
        }
        assert!(deliveries > 2, "one delivery a resume");
        assert_eq!(log.received(), sent);
        assert_eq!(log.all(), "made data", "the end is held back as well");
        transport.resume_reading();
        log.until_lost().await;
        assert_eq!(log.all(), "made data eof lost");
        drop(sending.await.unwrap());
        // Idempotent, also on a closed transport.
        transport.pause_reading();
        transport.resume_reading();
        assert!(!transport.is_reading() && transport.is_closing());
    });
}

// PR-04, check 110.
#[test]
fn after_the_peers_end_a_half_open_transport_writes_and_receives_no_more() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log).half_open()).await;
        peer.write_all(b"question").await.unwrap();
        peer.shutdown(std::net::Shutdown::Write).await.unwrap();
        log.until_said("eof").await;
        some_turns().await;
        assert_eq!(log.all(), "made data eof");
        assert!(!transport.is_closing());
        transport.write(b"an answer, ");
        transport.write(b"late");
        transport.write_eof();
        assert_eq!(read_to_end(&mut peer).await.unwrap(), b"an answer, late");
        some_turns().await;
        assert_eq!(log.all(), "made data eof", "write_eof does not close");
        transport.close();
        log.until_lost().await;
        assert_eq!(log.all(), "made data eof lost");
    });
}

// PR-04, check 110.
#[test]
fn after_the_peers_end_a_transport_closes_when_its_answer_has_left() {
    run_on_each(|| async {
        let log = Log::default();
        let answer = vec![7; 3 << 20];
        let (_transport, mut peer) = connected(Noting::new(&log, {
            let answer = answer.clone();
            move |what, transport| {
                if what == "eof" {
                    transport.write(&answer);
                }
            }
        }))
        .await;
        peer.shutdown(std::net::Shutdown::Write).await.unwrap();
        log.until_said("pause").await;
        assert_eq!(log.all(), "made eof pause");
        assert_eq!(read_to_end(&mut peer).await.unwrap().len(), answer.len());
        log.until_lost().await;
        assert_eq!(log.all(), "made eof pause resume lost");
    });
}

// PR-02, TR-30, check 112.
// Seen to fail when errors were told as the peer's end.
#[test]
fn a_reset_is_told_to_the_protocol_behind_the_data_and_to_nobody_else() {
    crate::support::on_each_backend(|builder| {
        let (mut runtime, told) = super::panics::telling(builder);
        runtime.block_on(async {
            let log = Log::default();
            let (transport, mut peer) = connected(Noting::quiet(&log)).await;
            peer.write_all(b"last words").await.unwrap();
            peer.flush().await.unwrap();
            log.until_received(10).await;
            peer.abort();
            log.until_lost().await;
            assert_eq!(log.all(), "made data lost:ConnectionReset");
            assert_eq!(log.received(), b"last words");
            assert!(transport.is_closing());
        });
        assert!(told.try_recv().is_err());
    });
}

// TR-30: a transport that does not receive hears of the loss by what it sends.
// Seen to fail when `settle_send` did not wake the watcher.
#[test]
fn a_reset_is_told_by_a_send_where_reading_is_paused() {
    run_on_each(|| async {
        let log = Log::default();
        let (ours, peer) = pair().await;
        let pausing = Noting::new(&log, |what, transport| {
            if what == "made" {
                transport.pause_reading();
            }
        });
        let transport = connect_accepted_socket(|| pausing, ours).await.unwrap();
        peer.abort();
        some_turns().await;
        assert_eq!(log.all(), "made");
        transport.write(b"hello?");
        log.until_lost().await;
        let all = log.all();
        assert!(all == "made lost:ConnectionReset" || all == "made lost:BrokenPipe", "{all}");
    });
}

/// Receives into three bytes.
struct Three {
    memory: [u8; 3],
    log: Log,
    pause_after: Rc<Cell<usize>>,
}

impl BufferedProtocol for Three {
    fn connection_made(&mut self, _transport: &Transport) {
        self.log.note("made");
    }

    fn get_buffer(&mut self, hint: usize) -> &mut [u8] {
        assert!(hint > 0);
        &mut self.memory
    }

    fn buffer_updated(&mut self, transport: &Transport, n: usize) {
        self.log.data(&self.memory[..n]);
        self.pause_after.set(self.pause_after.get() - 1);
        if self.pause_after.get() == 0 {
            transport.pause_reading();
        }
    }

    fn connection_lost(&mut self, error: Option<std::io::Error>) {
        assert!(error.is_none());
        self.log.note("lost");
    }
}

// PR-06, PR-07, G-03, checks 109 and 111.
// Seen to fail when what did not fit was delivered in spite of a pause.
#[test]
fn a_buffered_protocol_gets_each_byte_once_and_may_pause_within_a_piece() {
    run_on_each(|| async {
        let (ours, mut peer): (TcpStream, TcpStream) = pair().await;
        let (log, pause_after) = (Log::default(), Rc::new(Cell::new(3)));
        let three = Three { memory: [0; 3], log: log.clone(), pause_after: pause_after.clone() };
        let transport = connect_accepted_socket(|| three, ours).await.unwrap();
        peer.write_all(b"abcdefghijklmn").await.unwrap();
        log.until_received(9).await;
        some_turns().await;
        assert_eq!(log.received(), b"abcdefghi");
        pause_after.set(usize::MAX);
        transport.resume_reading();
        log.until_received(14).await;
        assert_eq!(log.received(), b"abcdefghijklmn");
        drop(peer);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made data lost");
    });
}
