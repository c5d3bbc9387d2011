//! Blocking calls on the pool (T-29, L-08, L-53 to L-55; check 148).
