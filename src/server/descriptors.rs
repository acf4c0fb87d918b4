//! For how many connections are there file descriptors?

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors of the program's own: listeners, threads' event queues, checks, Redis, logs.
const OWN: u64 = 256;

/// Raises the soft limit of open files to the hard one, as nginx and HAProxy do when told; the soft
/// one is low only for programs that still use `select`.
pub(super) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::warn!("the limit of open files stays as it is error={error}");
    }
}

/// Connections of clients for which `accept` cannot fail: each may need a second one, to a node.
/// Where it fails, Pingora sleeps for a second, and nobody is served meanwhile.
pub(super) fn connections() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let most = soft.saturating_sub(OWN).max(64) / 2;
    usize::try_from(most).unwrap_or(usize::MAX)
}
