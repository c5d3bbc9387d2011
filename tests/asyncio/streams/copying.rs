//! `copy` and `copy_bidirectional`.

use std::io::ErrorKind;

use ringloop::spawn;
use ringloop::stream::{copy, copy_bidirectional};

use super::{pair, pattern, turns};
use crate::support::run_on_each;

#[test]
fn a_copy_moves_everything_up_to_the_end_and_does_not_pass_it_on() {
    run_on_each(|| async {
        for len in [0, 1, 100_000, 5_000_000] {
            let ((mut from, _a), (_b, source)) = pair().await;
            let ((_c, to), (mut sink, _d)) = pair().await;
            let all = pattern(len);
            let sent = all.clone();
            let sending = spawn(async move {
                source.write_all(&sent).await.unwrap();
                source.write_eof().unwrap();
                source.flush().await.unwrap();
                source
            });
            let copying = spawn(async move {
                let copied = copy(&mut from, &to).await.unwrap();
                (copied, from, to)
            });
            let mut got = vec![0; len];
            sink.read_exact(&mut got).await.unwrap();
            assert!(got == all);
            let (copied, _from, to) = copying.await.unwrap();
            assert_eq!(copied, len as u64);
            to.write_all(b"!").await.unwrap();
            assert_eq!(sink.read(&mut [0; 2]).await.unwrap(), 1, "it is still open");
            sending.await.unwrap();
        }
    });
}

// Seen to fail when the copy does not drain.
#[test]
fn a_slow_reader_holds_the_copy_back() {
    run_on_each(|| async {
        let ((mut from, _a), (_b, source)) = pair().await;
        let ((_c, to), (_sink, _d)) = pair().await;
        source.write(&vec![1; 40 << 20]).unwrap();
        let mut copying = Box::pin(copy(&mut from, &to));
        for _ in 0..20_000 {
            assert!(super::poll_once(&mut copying).await.is_pending());
            turns(1).await;
            assert!(to.write_buffer_size() < 1 << 20, "{}", to.write_buffer_size());
        }
        assert!(source.write_buffer_size() > 10 << 20, "the source is held back");
    });
}

#[test]
fn a_half_close_passes_through_and_the_other_direction_goes_on() {
    run_on_each(|| async {
        let ((mut client, to_proxy), (mut near, to_client)) = pair().await;
        let ((mut far, to_server), (mut server, to_far)) = pair().await;
        let proxy = spawn(async move {
            copy_bidirectional((&mut near, &to_client), (&mut far, &to_server)).await
        });
        to_proxy.write_all(b"question").await.unwrap();
        to_proxy.write_eof().unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        turns(10).await;
        assert!(!proxy.is_finished());
        let answer = pattern(1_000_000);
        let sent = answer.clone();
        let answering = spawn(async move {
            to_far.write_all(&sent).await.unwrap();
            to_far.write_eof().unwrap();
            to_far.flush().await.unwrap();
            to_far
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == answer);
        assert_eq!(proxy.await.unwrap().unwrap(), (8, 1_000_000));
        answering.await.unwrap();
    });
}

#[test]
fn an_error_of_either_side_ends_the_proxy() {
    run_on_each(|| async {
        for near_fails in [false, true] {
            let ((_client, to_proxy), (mut near, to_client)) = pair().await;
            let ((mut far, to_server), (_server, to_far)) = pair().await;
            let proxy = spawn(async move {
                copy_bidirectional((&mut near, &to_client), (&mut far, &to_server)).await
            });
            to_proxy.write_all(b"question").await.unwrap();
            turns(10).await;
            if near_fails {
                to_proxy.abort();
            } else {
                to_far.abort();
            }
            assert_eq!(proxy.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    });
}
