//! How does the gateway end, or make room for another? The section `shutdown`.

use super::print::{path, table, time};
use super::tree::Tree;
use std::path::PathBuf;
use std::time::Duration;

/// How the gateway ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// After SIGTERM the listeners stay open for this long while `/readyz` already says no.
    pub pre_stop_delay: Duration,
    /// Then requests in flight get this long to end.
    pub deadline: Duration,
    /// Where a new program asks this one for its listeners; its folder must exist by then.
    pub upgrade_socket: PathBuf,
}

/// Nothing: `docker stop` kills after 10 s, and only a load balancer in front gains by waiting.
const PRE_STOP_DELAY: Duration = Duration::ZERO;
/// A plugin's longest run and half a minute.
const DEADLINE: Duration = Duration::from_secs(630);
/// Where systemd's `RuntimeDirectory` is: nobody else can put a socket there.
const UPGRADE_SOCKET: &str = "/run/twolane/upgrade.sock";

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            pre_stop_delay: PRE_STOP_DELAY,
            deadline: DEADLINE,
            upgrade_socket: PathBuf::from(UPGRADE_SOCKET),
        }
    }
}

pub(super) fn tree(shutdown: &Shutdown) -> Tree {
    table([
        ("pre_stop_delay", time(shutdown.pre_stop_delay)),
        ("deadline", time(shutdown.deadline)),
        ("upgrade_socket", path(Some(&shutdown.upgrade_socket))),
    ])
}
