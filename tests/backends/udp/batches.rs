//! Many at once: batches, segments, datagrams that the kernel has put together.

use std::io::ErrorKind;

use ringloop::net::{Ecn, Transmit, UdpSocket};

use super::{LOCAL, address, with_std};
use crate::support::run_on_each;

#[test]
fn a_batch_goes_in_order_and_comes_in_order() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let to = address(&theirs);
        let texts: Vec<[u8; 4]> = (0..100u32).map(u32::to_ne_bytes).collect();
        let batch: Vec<_> = texts.iter().map(|text| Transmit::new(text).to(to)).collect();
        let mut sent = 0;
        while sent < batch.len() {
            let n = ours.send_batch(&batch[sent..]).await.unwrap();
            assert!(n > 0);
            for text in &texts[sent..sent + n] {
                let mut buf = [0; 8];
                assert_eq!(theirs.recv(&mut buf).unwrap(), 4);
                assert_eq!(buf[..4], *text);
            }
            sent += n;
        }
        assert_eq!(ours.send_batch(&[]).await.unwrap(), 0);
        assert_eq!(ours.try_send_batch(&[]).unwrap(), 0);
        let mut got = Vec::new();
        assert_eq!(ours.recv_batch(&mut got, 0).await.unwrap(), 0);
        for text in &texts {
            theirs.send(text).unwrap();
        }
        while got.len() < texts.len() {
            let before = got.len();
            let n = ours.recv_batch(&mut got, 7).await.unwrap();
            assert!((1..=7).contains(&n) && got.len() == before + n);
        }
        assert!(got.iter().zip(&texts).all(|(datagram, text)| datagram[..] == *text));
    });
}

#[test]
fn what_is_cut_into_segments_arrives_as_datagrams() {
    run_on_each(|| async {
        let (ours, theirs) = with_std().await;
        let to = address(&theirs);
        assert!(ours.can_segment(), "Linux 4.18 and later can");
        let bytes: Vec<u8> = (0..=255).cycle().take(10_500).collect();
        ours.send_segments(&bytes, 1000, to).await.unwrap();
        for piece in bytes.chunks(1000) {
            let mut buf = [0; 2000];
            assert_eq!(theirs.recv(&mut buf).unwrap(), piece.len());
            assert_eq!(buf[..piece.len()], *piece);
        }
        ours.send_segments(b"short", 1000, to).await.unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 5);
        let batch = [
            Transmit::new(b"aabbc").to(to).segment_size(2).ecn(Ecn::Ect0),
            Transmit::new(b"plain").to(to),
        ];
        assert_eq!(ours.send_batch(&batch).await.unwrap(), 2);
        for expected in ["aa", "bb", "c", "plain"] {
            let mut buf = [0; 8];
            let n = theirs.recv(&mut buf).unwrap();
            assert_eq!(&buf[..n], expected.as_bytes());
        }
        let none = ours.send_segments(b"x", 0, to).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        let many = ours.send_segments(&[0; 2000], 1, to).await.unwrap_err();
        assert_eq!(many.kind(), ErrorKind::InvalidInput, "{many}");
        ours.send_to(b"alive", to).await.unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap(), 5);
    });
}

// Seen to fail when the size of a segment is not told.
#[test]
fn datagrams_that_the_kernel_has_put_together_come_apart_again() {
    run_on_each(|| async {
        let ours = UdpSocket::bind(LOCAL).await.unwrap();
        ours.set_gro(true).unwrap();
        let sender = UdpSocket::bind(LOCAL).await.unwrap();
        let to = ours.local_addr().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(50_300).collect();
        sender.send_segments(&bytes, 1000, to).await.unwrap();
        let (mut all, mut receives) = (Vec::new(), 0);
        while all.len() < bytes.len() {
            let datagram = ours.recv_chunk().await.unwrap();
            receives += 1;
            for segment in datagram.segments() {
                let last = all.len() + segment.len() == bytes.len();
                assert_eq!(segment.len(), if last { 300 } else { 1000 });
                all.extend_from_slice(segment);
            }
        }
        assert!(all == bytes);
        assert!(receives < 51, "nothing was put together");
        sender.send_to(b"single", to).await.unwrap();
        let single = ours.recv_chunk().await.unwrap();
        assert_eq!((single.segments().count(), single.segment_size()), (1, None));
    });
}
