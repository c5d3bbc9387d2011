//! Synchronization (Y-*; checks 81 to 86).
