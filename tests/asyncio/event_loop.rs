//! Callbacks, timers of the loop, stopping, unhandled errors (L-*; checks 1 to 22, 26).
