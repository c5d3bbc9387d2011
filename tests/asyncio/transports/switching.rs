//! Another protocol for a connection that is there.

use ringloop::protocol::{BufferedProtocol, Protocol, Transport};

use super::{Log, Noting, connected, some_turns};
use crate::support::{OnDrop, run_on_each};

/// Receives by pieces of one byte, and gives the connection to `Noting` at a full stop.
struct UpToStop {
    log: Log,
    byte: [u8; 1],
}

impl BufferedProtocol for UpToStop {
    fn get_buffer(&mut self, _hint: usize) -> &mut [u8] {
        &mut self.byte
    }

    fn buffer_updated(&mut self, transport: &Transport, _n: usize) {
        self.log.note((self.byte[0] as char).to_string());
        if self.byte == *b"." {
            transport.set_protocol(Noting::quiet(&self.log));
        }
    }
}

// TR-04, PR-18, check 118.
// Seen to fail when what a buffered protocol had no memory for went with it.
#[test]
fn a_protocol_of_either_kind_takes_over_at_the_very_byte() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::new(&log, {
            let log = log.clone();
            move |what, transport| {
                if what == "data" {
                    transport.set_protocol(UpToStop { log: log.clone(), byte: [0] });
                }
            }
        }))
        .await;
        peer.write_all(b"first").await.unwrap();
        log.until_received(5).await;
        peer.write_all(b"ab.the rest").await.unwrap();
        log.until_received(13).await;
        assert_eq!(log.received(), b"firstthe rest");
        drop(peer);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made data a b . data eof lost");
    });
}

struct Guarded<F: FnMut()>(OnDrop<F>);

impl<F: FnMut()> Protocol for Guarded<F> {
    fn data_received(&mut self, _transport: &Transport, _data: &[u8]) {
        panic!("it has been replaced");
    }
}

// TR-04, PR-18: the old one goes, the new one has the rest; who comes too late goes at once.
#[test]
fn a_protocol_that_is_replaced_is_dropped_and_called_no_more() {
    run_on_each(|| async {
        let log = Log::default();
        let dropping = |name: &'static str| {
            let log = log.clone();
            Guarded(OnDrop(move || log.note(name)))
        };
        let (transport, mut peer) = connected(dropping("first")).await;
        transport.set_protocol(dropping("second"));
        assert_eq!(log.all(), "");
        transport.set_protocol(Noting::quiet(&log));
        assert_eq!(log.all(), "second");
        peer.write_all(b"data").await.unwrap();
        log.until_received(4).await;
        assert_eq!(log.all(), "second first data");
        transport.abort();
        transport.set_protocol(Noting::new(&log, |what, _| assert_eq!(what, "never")));
        log.until_lost().await;
        assert_eq!(log.all(), "second first data lost");
        transport.set_protocol(dropping("late"));
        assert!(log.all().ends_with("lost late"));
        some_turns().await;
    });
}

// A box of any protocol is a protocol.
#[test]
fn a_boxed_protocol_is_called_as_the_one_in_it() {
    run_on_each(|| async {
        let log = Log::default();
        let boxed: Box<dyn Protocol> = Box::new(Noting::quiet(&log));
        let (transport, mut peer) = connected(boxed).await;
        transport.set_write_buffer_limits(0, 0).unwrap();
        transport.write(b"x");
        log.until_said("resume").await;
        peer.write_all(b"data").await.unwrap();
        log.until_received(4).await;
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 1);
        drop(peer);
        transport.wait_closed().await;
        assert_eq!(log.all(), "made pause resume data eof lost");
    });
}

// Seen to fail when only one exchange was looked at.
#[test]
fn a_protocol_that_another_ones_drop_sets_gets_the_next_callback() {
    run_on_each(|| async {
        let log = Log::default();
        let (transport, mut peer) = connected(Noting::quiet(&log)).await;
        let (third, set) = (Log::default(), transport.clone());
        let last = third.clone();
        let first = Guarded(OnDrop(move || set.set_protocol(Noting::quiet(&last))));
        transport.set_protocol(first);
        some_turns().await;
        peer.write_all(b"data").await.unwrap();
        // In one poll: the first goes, and sets the third, which gets the bytes and not the second.
        transport.pause_reading();
        some_turns().await;
        transport.set_protocol(Guarded(OnDrop(|| {})));
        transport.resume_reading();
        third.until_received(4).await;
        transport.abort();
        transport.wait_closed().await;
        assert_eq!((log.all().as_str(), third.all().as_str()), ("made", "data lost"));
    });
}

/// Ends the transport where it is asked for memory.
struct Ending {
    log: Log,
    transport: Option<Transport>,
    end: fn(&Transport),
    memory: Vec<u8>,
}

impl BufferedProtocol for Ending {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn get_buffer(&mut self, _hint: usize) -> &mut [u8] {
        self.log.note("get");
        self.transport.as_ref().map(self.end);
        &mut self.memory
    }

    fn buffer_updated(&mut self, _transport: &Transport, _n: usize) {
        self.log.note("updated");
    }

    fn connection_lost(&mut self, error: Option<std::io::Error>) {
        self.log.note(format!("lost:{error:?}"));
    }
}

// PR-03: as for `data_received`.
// Seen to fail when the memory was filled all the same.
#[test]
fn nothing_comes_into_memory_whose_owner_closes_or_pauses_when_it_is_asked_for_it() {
    run_on_each(|| async {
        for (end, len) in [
            (Transport::close as fn(&Transport), 8),
            (Transport::close, 0),
            (Transport::abort, 8),
            (Transport::pause_reading, 8),
        ] {
            let log = Log::default();
            let (ours, mut peer) = super::pair().await;
            let ending = Ending { log: log.clone(), transport: None, end, memory: vec![0; len] };
            let transport =
                ringloop::protocol::connect_accepted_socket(|| ending, ours).await.unwrap();
            peer.write_all(b"data").await.unwrap();
            log.until_said("get").await;
            some_turns().await;
            assert!(!log.all().contains("updated"), "{}", log.all());
            transport.close();
            transport.wait_closed().await;
            assert_eq!(log.all(), "get lost:None");
        }
    });
}
