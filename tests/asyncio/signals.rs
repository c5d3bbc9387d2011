//! Signals (L-51, L-52; check 147).
