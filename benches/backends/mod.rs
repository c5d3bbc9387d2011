//! The backends that this machine has.

use ringloop::{BackendChoice, Builder, Runtime};

/// Runs `bench` with a runtime on each backend; says why where there is none.
pub(crate) fn each(mut bench: impl FnMut(&str, Runtime)) {
    for backend in [BackendChoice::Uring, BackendChoice::Epoll] {
        match Builder::new().backend(backend).build() {
            Ok(runtime) => bench(&backend.to_string(), runtime),
            Err(error) => println!("without {backend}: {error}"),
        }
    }
}
