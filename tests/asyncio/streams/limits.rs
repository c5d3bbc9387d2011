//! How much may wait to be read.

use std::io::ErrorKind;

use super::pair;
use crate::support::run_on_each;

// S-04, check 97.
#[test]
fn a_limit_of_nothing_is_refused_and_the_default_is_64_kib() {
    run_on_each(|| async {
        let ((mut reader, _writer), _peer) = pair().await;
        assert_eq!(reader.limit(), 64 * 1024);
        assert_eq!(reader.set_limit(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(reader.limit(), 64 * 1024);
        reader.set_limit(1).unwrap();
        assert_eq!(reader.limit(), 1);
    });
}
