//! The twin of `testing` outside of test builds: nothing is different from what it is.

/// The Linux that the kernel shall be taken for.
pub(crate) const fn linux() -> Option<(u8, u8)> {
    None
}

/// How many entries the queues of a ring shall have.
pub(crate) const fn queues() -> Option<(u32, u32)> {
    None
}

/// Before `io_uring_enter(2)`.
///
/// # Errors
///
/// The one that the kernel shall seem to have answered.
#[expect(clippy::unnecessary_wraps, reason = "its twin fails")]
pub(crate) const fn before_enter() -> std::io::Result<()> {
    Ok(())
}

/// Before `epoll_wait(2)`.
///
/// # Errors
///
/// As [`before_enter`].
#[expect(clippy::unnecessary_wraps, reason = "its twin fails")]
pub(crate) const fn before_epoll_wait() -> std::io::Result<()> {
    Ok(())
}

/// Whether the next request that is cancelled shall be missed.
pub(crate) const fn misses() -> bool {
    false
}

/// The answer of a read that must not wait, in place of the kernel's.
pub(crate) const fn read_now() -> Option<std::io::Result<usize>> {
    None
}
