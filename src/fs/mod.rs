//! Files.
//!
//! Reads and writes at positions; on io_uring by the ring, on epoll by threads of the runtime's pool.
//! What is in the page cache is read within the poll (`cached.rs`). The whole of a file system's calls
//! comes later.

mod cached;
mod file;
mod op;

pub use file::File;
