//! Files at positions.

use std::io::ErrorKind;

use ringloop::fs::File;

use crate::support::run_on_each;

#[test]
fn an_offset_that_no_file_can_have_is_refused_and_touches_nothing() {
    run_on_each(|| async {
        let path = std::env::temp_dir().join(format!("ringloop-offset-{}", std::process::id()));
        let file = File::create(&path).await.unwrap();
        file.write_all_at(b"hello", 0).await.unwrap();
        for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let read = file.read_at(&mut [0; 3], offset).await.unwrap_err();
            assert_eq!(read.kind(), ErrorKind::InvalidInput, "read at {offset}");
            let written = file.write_at(b"xyz", offset).await.unwrap_err();
            assert_eq!(written.kind(), ErrorKind::InvalidInput, "write at {offset}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        // Behind the end is no error.
        assert_eq!(file.read_at(&mut [0; 3], i64::MAX as u64).await.unwrap_or(0), 0);
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn more_than_a_call_takes_goes_piece_by_piece_and_comes_back_whole() {
    run_on_each(|| async {
        let path = std::env::temp_dir().join(format!("ringloop-large-{}", std::process::id()));
        let bytes: Vec<u8> = (0..200_001_usize).map(|i| (i % 251) as u8).collect();
        let file = File::create(&path).await.unwrap();
        file.write_all_at(&bytes, 7).await.unwrap();
        let (mut all, mut buf) = (Vec::new(), vec![0; 150_000]);
        loop {
            match file.read_at(&mut buf, 7 + all.len() as u64).await.unwrap() {
                0 => break,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
        assert!(all == bytes, "{} bytes came back of {}", all.len(), bytes.len());
        std::fs::remove_file(&path).unwrap();
    });
}
