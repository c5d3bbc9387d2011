//! Lines, and records of other kinds.

use std::io::{ErrorKind, Write};

use ringloop::stream::{ReadError, Reader};

use super::{pair, poll_once, reader_of, turns, with_std};
use crate::support::run_on_each;

type Separators = &'static [&'static [u8]];

async fn line(reader: &mut Reader) -> String {
    let mut line = String::new();
    let n = reader.read_line(&mut line).await.unwrap();
    assert_eq!(n, line.len());
    line
}

async fn record(reader: &mut Reader, separators: &[&[u8]]) -> Result<Vec<u8>, ReadError> {
    let mut record = Vec::new();
    let n = reader.read_until_any(separators, &mut record).await?;
    assert_eq!(n, record.len());
    Ok(record)
}

async fn rest(reader: &mut Reader) -> Vec<u8> {
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    rest
}

// S-09, check 95.
#[test]
fn a_line_is_whole_however_it_comes_and_the_last_one_may_lack_its_newline() {
    run_on_each(|| async {
        let ((mut reader, writer), mut theirs) = with_std().await;
        for piece in ["ch", "unk", "1 chunk2 ", "chunk3 \n"] {
            theirs.write_all(piece.as_bytes()).unwrap();
            turns(2).await;
        }
        theirs.write_all(b"two\nthree\n\npart").unwrap();
        drop(theirs);
        assert_eq!(line(&mut reader).await, "chunk1 chunk2 chunk3 \n");
        assert_eq!(line(&mut reader).await, "two\n");
        assert_eq!(line(&mut reader).await, "three\n");
        assert_eq!(line(&mut reader).await, "\n");
        assert_eq!(line(&mut reader).await, "part", "at the end");
        assert_eq!(line(&mut reader).await, "");
        assert!(reader.at_eof());
        drop(writer);
    });
}

// S-10, S-09.
#[test]
fn iterating_gives_each_line_without_its_end() {
    run_on_each(|| async {
        let (mut reader, _writer) = reader_of(b"one\r\n\ntwo\r\r\nlast\r").await;
        let (mut lines, mut all) = (reader.lines(), Vec::new());
        while let Some(line) = lines.next_line().await.unwrap() {
            all.push(line.to_owned());
        }
        assert_eq!(all, ["one", "", "two\r", "last\r"]);
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert!(lines.reader().at_eof());
    });
}

// S-09, G-07, check 95. Seen to fail when a line was taken before its limit was looked at.
#[test]
fn a_line_above_the_limit_stays_and_the_rest_of_the_stream_with_it() {
    run_on_each(|| async {
        for (text, consumed) in [(&b"12345\nrest"[..], 5), (b"12345", 5), (b"123456789", 9)] {
            let (mut reader, _writer) = reader_of(text).await;
            reader.set_limit(4).unwrap();
            let mut line = String::from("kept");
            for _ in 0..2 {
                let error = reader.read_line(&mut line).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                let ReadError::Limit(error) = error else { panic!("{error}") };
                assert!((5..=consumed).contains(&error.consumed()), "{error}");
            }
            assert_eq!(line, "kept");
            assert_eq!(rest(&mut reader).await, text);
        }
    });
}

// G-07.
#[test]
fn a_line_that_is_skipped_is_gone_whole_and_nothing_but_it() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        reader.set_limit(4).unwrap();
        let skipping = ringloop::spawn(async move {
            let skipped = reader.skip_line().await.unwrap();
            (skipped, reader)
        });
        for piece in ["12345", "6789", "1", "2345\n67", "89\n", "tail"] {
            theirs.write_all(piece.as_bytes()).unwrap();
            turns(3).await;
        }
        drop(theirs);
        let (skipped, mut reader) = skipping.await.unwrap();
        assert_eq!(skipped, 15);
        assert_eq!(line(&mut reader).await, "6789\n");
        assert_eq!(reader.skip_line().await.unwrap(), 4, "to the end");
        assert_eq!(reader.skip_line().await.unwrap(), 0);
    });
}

// S-09.
#[test]
fn a_line_that_is_no_text_stays_as_bytes_also_over_the_border_of_pieces() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        for piece in [&b"ok\nba"[..], b"d \xff", b" bad\nok", b"ay \xc3", b"\xa9\n"] {
            theirs.write_all(piece).unwrap();
            turns(3).await;
        }
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        let error = reader.read_line(&mut line).await.unwrap_err();
        assert_eq!((error.kind(), &line[..]), (ErrorKind::InvalidData, "ok\n"));
        let mut bytes = Vec::new();
        reader.read_until(b"\n", &mut bytes).await.unwrap();
        assert_eq!(bytes, b"bad \xff bad\n");
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line, "ok\nokay é\n", "the character that was cut is whole");
    });
}

// S-08, check 96.
#[test]
fn the_separator_that_ends_first_wins_and_it_is_part_of_the_record() {
    run_on_each(|| async {
        let cases: [(Separators, &[u8], &[u8]); 6] = [
            (&[b"AAA"], b"some dataAAAmore", b"some dataAAA"),
            (&[b"AAA"], b"AAA", b"AAA"),
            (&[b"#", b"-", b"!"], b"first-part#second", b"first-"),
            (&[b"long sep", b"g"], b"a long sep", b"a long"),
            (&[b"\r\n", b"\n"], b"line\r\n", b"line\r\n"),
            (&[b"aab", b"ab"], b"aaab", b"aaab"),
        ];
        for (separators, text, expected) in cases {
            let (mut reader, _writer) = reader_of(text).await;
            assert_eq!(record(&mut reader, separators).await.unwrap(), expected);
            assert_eq!(rest(&mut reader).await, text[expected.len()..]);
        }
    });
}

// S-08, check 96.
#[test]
fn a_separator_is_found_over_the_border_of_pieces_and_after_a_false_beginning() {
    run_on_each(|| async {
        let ((mut reader, _writer), mut theirs) = with_std().await;
        let mut all = Vec::new();
        let mut reading = Box::pin(reader.read_until(b"AAA", &mut all));
        for piece in ["QWERTY", "A", "ABA", "A", "A!"] {
            assert!(poll_once(&mut reading).await.is_pending(), "before {piece}");
            theirs.write_all(piece.as_bytes()).unwrap();
            turns(3).await;
        }
        assert_eq!(reading.await.unwrap(), 12);
        assert_eq!(all, b"QWERTYAABAAA");
        drop(theirs);
        assert_eq!(rest(&mut reader).await, b"!");
    });
}

// S-08, check 96.
#[test]
fn no_separator_and_an_empty_one_are_refused_before_anything_is_waited_for() {
    run_on_each(|| async {
        let ((mut reader, _writer), _peer) = pair().await;
        let sets: [Separators; 3] = [&[], &[b""], &[b"a", b""]];
        for separators in sets {
            let error = record(&mut reader, separators).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

// S-08, check 96.
#[test]
fn the_limit_counts_what_stands_before_the_separator() {
    run_on_each(|| async {
        // Exactly as much may stand there.
        let (mut reader, _writer) = reader_of(b"abcdSEPx").await;
        reader.set_limit(4).unwrap();
        assert_eq!(record(&mut reader, &[b"SEP"]).await.unwrap(), b"abcdSEP");

        let (mut reader, _writer) = reader_of(b"abcdeSEPx").await;
        reader.set_limit(4).unwrap();
        super::turns(5).await;
        let error = record(&mut reader, &[b"SEP"]).await.unwrap_err();
        let ReadError::Limit(overrun) = error else { panic!("{error}") };
        assert_eq!(overrun.consumed(), 5);
        let text = overrun.to_string();
        assert!(text.starts_with("5 bytes"), "{text}");
        // What was found to be too much can be taken as it is.
        reader.read_exact(&mut vec![0; overrun.consumed()]).await.unwrap();
        assert_eq!(record(&mut reader, &[b"SEP"]).await.unwrap(), b"SEP");
        assert_eq!(rest(&mut reader).await, b"x");

        // A higher limit lets it through.
        let (mut reader, _writer) = reader_of(b"abcdeSEPx").await;
        reader.set_limit(4).unwrap();
        record(&mut reader, &[b"SEP"]).await.unwrap_err();
        reader.set_limit(5).unwrap();
        assert_eq!(record(&mut reader, &[b"SEP"]).await.unwrap(), b"abcdeSEP");
    });
}

// S-08, check 96. Seen to hang when only what the limit allows was ever received.
#[test]
fn a_separator_longer_than_twice_the_limit_is_found() {
    run_on_each(|| async {
        let separator = vec![b'-'; 40];
        let text = [b"abc", &separator[..], b"x"].concat();
        let ((mut reader, _writer), mut theirs) = with_std().await;
        reader.set_limit(4).unwrap();
        let mut found = Vec::new();
        let mut reading = Box::pin(reader.read_until(&separator, &mut found));
        for piece in text.chunks(5) {
            assert!(poll_once(&mut reading).await.is_pending());
            theirs.write_all(piece).unwrap();
            turns(3).await;
        }
        reading.await.unwrap();
        assert_eq!(found, text[..43]);
    });
}

// S-08, check 96.
#[test]
fn a_record_that_meets_the_end_has_what_came() {
    run_on_each(|| async {
        for text in [&b"some dataAA"[..], b""] {
            let (mut reader, _writer) = reader_of(text).await;
            let error = record(&mut reader, &[b"AAA"]).await.unwrap_err();
            let ReadError::Incomplete(error) = error else { panic!("{error}") };
            assert_eq!((error.partial(), error.expected()), (text, None));
            assert_eq!(error.into_partial(), text);
            assert!(reader.at_eof());
        }
    });
}
