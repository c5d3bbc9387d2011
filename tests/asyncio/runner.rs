//! Runtimes, their end, Ctrl-C (R-*; check 149).
