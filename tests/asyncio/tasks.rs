//! Tasks and their cancellation (T-*; checks 34 to 42, 51 to 53).
