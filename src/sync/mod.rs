//! Synchronization between the tasks of one thread: no atomics, no system calls, any executor.
//!
//! Everything here is first come, first served: what is released is handed to whoever waits longest, and
//! a waiter that is dropped after that passes it on.
