//! Files.
//!
//! Reads and writes at positions; on io_uring by the ring, on epoll by threads of the runtime's pool.
//! The whole of a file system's calls comes later.

mod file;
mod op;

pub use file::File;
