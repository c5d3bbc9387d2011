//! Bytes as they come, exact lengths, all to the end.

use std::io::{ErrorKind, Write};

use ringloop::spawn;
use ringloop::stream::ReadError;

use super::{pair, pattern, reader_of, with_std};
use crate::support::run_on_each;

// S-06, check 93.
#[test]
fn a_read_of_nothing_returns_at_once_and_others_return_what_there_is() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        assert_eq!(reader.read(&mut []).await.unwrap(), 0, "nothing has come");
        theirs.write_all(b"line1\nline2\n").unwrap();
        let mut buf = [0; 30];
        assert_eq!(reader.read(&mut buf[..5]).await.unwrap(), 5);
        assert_eq!(reader.read(&mut buf[5..]).await.unwrap(), 7, "less than it asks for");
        assert_eq!(&buf[..12], b"line1\nline2\n");
        drop(theirs);
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0, "the end");
        assert_eq!(reader.read(&mut buf).await.unwrap(), 0, "and again");
    });
}

// S-06, check 93.
#[test]
fn to_the_end_is_everything_also_over_the_limit_and_behind_what_there_was() {
    run_on_each(|| async {
        for limit in [3, 64 * 1024] {
            let ((mut reader, _writer), (_, peer)) = pair().await;
            reader.set_limit(limit).unwrap();
            let all = pattern(1_000_000);
            let sent = all.clone();
            let sending = spawn(async move {
                for piece in sent.chunks(33_333) {
                    peer.write_all(piece).await.unwrap();
                }
            });
            let mut got = b"before".to_vec();
            assert_eq!(reader.read_to_end(&mut got).await.unwrap(), all.len());
            assert!(got.starts_with(b"before") && got[6..] == all, "limit {limit}");
            assert_eq!(reader.read_to_end(&mut got).await.unwrap(), 0);
            sending.await.unwrap();
        }
    });
}

// S-06, check 93.
#[test]
fn text_to_the_end_is_whole_wherever_its_characters_are_cut() {
    run_on_each(|| async {
        let text = "aé€🦀é";
        for cut in 1..text.len() {
            let ((mut reader, _writer), mut theirs) = with_std().await;
            let mut got = String::from("> ");
            theirs.write_all(&text.as_bytes()[..cut]).unwrap();
            let mut reading = Box::pin(reader.read_to_string(&mut got));
            for _ in 0..3 {
                assert!(super::poll_once(&mut reading).await.is_pending());
                super::turns(1).await;
            }
            theirs.write_all(&text.as_bytes()[cut..]).unwrap();
            drop(theirs);
            assert_eq!(reading.await.unwrap(), text.len());
            assert_eq!(got, format!("> {text}"));
        }
    });
}

#[test]
fn what_is_no_text_stays_to_be_read_as_bytes() {
    run_on_each(|| async {
        for bad in [&b"\xff"[..], b"\xe2\x82", b"\xe2\x82!", b"\xc0\x80"] {
            let (mut reader, _writer) = reader_of(&[b"good ", bad].concat()).await;
            let mut got = String::from("is ");
            let error = reader.read_to_string(&mut got).await.unwrap_err();
            assert_eq!((error.kind(), &got[..]), (ErrorKind::InvalidData, "is good "));
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, bad);
        }
    });
}

// S-07, check 94.
#[test]
fn an_exact_read_takes_that_many_and_leaves_the_rest() {
    run_on_each(|| async {
        let (mut reader, _writer) = reader_of(b"line1\nline2\n").await;
        let mut buf = [0; 7];
        reader.read_exact(&mut []).await.unwrap();
        reader.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"line1\nl");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"ine2\n");
    });
}

// S-07, check 94.
#[test]
fn an_exact_read_may_be_longer_than_the_limit() {
    run_on_each(|| async {
        for (limit, len) in [(3, 10), (64 * 1024, 300_000), (10, 1), (10, 10), (10, 11)] {
            let ((mut reader, _writer), (_, peer)) = pair().await;
            reader.set_limit(limit).unwrap();
            let all = pattern(len + 5);
            let sent = all.clone();
            let sending = spawn(async move { peer.write_all(&sent).await });
            let mut buf = vec![0; len];
            reader.read_exact(&mut buf).await.unwrap();
            assert!(buf == all[..len]);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert!(rest == all[len..]);
            sending.await.unwrap().unwrap();
        }
    });
}

// S-07, check 94.
#[test]
fn an_exact_read_that_meets_the_end_has_what_came_and_says_what_it_wanted() {
    run_on_each(|| async {
        for limit in [5, 64 * 1024] {
            let (mut reader, _writer) = reader_of(b"line1\n").await;
            reader.set_limit(limit).unwrap();
            let error = reader.read_exact(&mut [0; 12]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            let ReadError::Incomplete(error) = error else { panic!("{error}") };
            assert_eq!((error.partial(), error.expected()), (&b"line1\n"[..], Some(12)));
            assert_eq!(error.to_string(), "the stream ended after 6 of 12 bytes");
            assert!(reader.at_eof(), "nothing is left");
            let error = std::io::Error::from(reader.read_exact(&mut [0; 1]).await.unwrap_err());
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    });
}

// S-07, S-14, checks 94 and 99.
#[test]
fn what_came_before_an_error_is_read_before_and_after_it_is_told() {
    run_on_each(|| async {
        for limit in [5, 64 * 1024] {
            let ((mut reader, writer), theirs) = with_std().await;
            reader.set_limit(limit).unwrap();
            (&theirs).write_all(b"line1\nli").unwrap();
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            // It closes over unread bytes: that is a reset.
            writer.write(b"unread").unwrap();
            writer.flush().await.unwrap();
            theirs.peek(&mut [0]).unwrap();
            drop(theirs);
            let error = reader.read_exact(&mut [0; 12]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "limit {limit}");
            let error = reader.read_until(b"x", &mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(!reader.at_eof());
            let mut left = [0; 10];
            assert_eq!(reader.read(&mut left).await.unwrap(), 2);
            assert_eq!(&left[..2], b"li");
            let error = reader.read(&mut left).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "and then");
            let error = writer.drain().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the writer hears of it");
        }
    });
}

// S-11, check 100.
#[test]
fn at_the_end_is_only_who_has_read_all_and_seen_the_end() {
    run_on_each(|| async {
        let (mut reader, _writer) = reader_of(b"some data").await;
        assert!(!reader.at_eof());
        let mut some = [0; 8];
        reader.read_exact(&mut some).await.unwrap();
        super::turns(5).await;
        assert!(!reader.at_eof(), "a byte is left");
        assert_eq!(reader.read(&mut some).await.unwrap(), 1);
        assert_eq!(reader.read(&mut some).await.unwrap(), 0);
        assert!(reader.at_eof());
    });
}

// Nothing is lost without a word, also where a future is forgotten that may not be.
#[test]
fn a_long_exact_read_that_is_forgotten_leaves_no_hole_unsaid() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        reader.set_limit(4).unwrap();
        theirs.write_all(b"abc").unwrap();
        let mut buf = [0; 10];
        let mut reading = Box::pin(reader.read_exact(&mut buf));
        for _ in 0..10 {
            assert!(super::poll_once(&mut reading).await.is_pending());
            super::turns(1).await;
        }
        std::mem::forget(reading);
        let error = reader.read(&mut [0; 10]).await.unwrap_err();
        assert!(error.to_string().contains("had taken 3 bytes"), "{error}");
    });
}
