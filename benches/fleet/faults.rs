//! What is wrong with Redis while it is measured?

use super::between::{Mood, Wire};
use super::redis::Server;
use super::support::eventually;
use std::time::Duration;
use twolane::share::Keys;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no Redis here either: how far two equal gateways differ on this machine.
    None,
    Works,
    Frozen,
    Killed,
    WrongPassword,
    ReadOnly,
    OutOfMemory,
    WrongType,
    Slow,
}

/// All of them, in the order of the table.
pub(crate) const FAULTS: [Fault; 9] = [
    Fault::None,
    Fault::Works,
    Fault::Frozen,
    Fault::Killed,
    Fault::WrongPassword,
    Fault::ReadOnly,
    Fault::OutOfMemory,
    Fault::WrongType,
    Fault::Slow,
];

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none here either",
            Self::Works => "works",
            Self::Frozen => "frozen (SIGSTOP)",
            Self::Killed => "killed",
            Self::WrongPassword => "wrong password",
            Self::ReadOnly => "read only",
            Self::OutOfMemory => "out of memory",
            Self::WrongType => "wrong types under keys",
            Self::Slow => "500 ms slow",
        }
    }
}

/// One Redis behind one wire.
pub(crate) struct Scene {
    redis: Server,
    pub(crate) wire: Wire,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let redis = Server::start().await;
        let wire = Wire::to(redis.address()).await;
        Self { redis, wire }
    }

    /// Waits until the gateway writes there.
    pub(crate) async fn met(&self, fault: Fault) {
        if fault != Fault::None {
            eventually("the gateway has written", async || {
                self.redis.cli(&["EXISTS", "twolane:fleet:gateways"]) == "1"
            })
            .await;
        }
    }

    pub(crate) async fn begin(&mut self, fault: Fault) {
        let redis = &mut self.redis;
        match fault {
            Fault::None | Fault::Works | Fault::WrongType => {}
            Fault::Frozen => redis.signal("STOP"),
            Fault::Killed => redis.kill(),
            Fault::WrongPassword => {
                redis.cli(&["CONFIG", "SET", "requirepass", "pw"]);
                redis.cli_as(&["-a", "pw"], &["CLIENT", "KILL", "TYPE", "normal"]);
            }
            Fault::ReadOnly => {
                redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
            }
            Fault::OutOfMemory => {
                redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
            }
            Fault::Slow => self.wire.set(Mood::Late(Duration::from_millis(500))),
        }
        // A fault that is not felt would be measured for nothing; in each of these, no letter is
        // taken any more.
        if !matches!(
            fault,
            Fault::None | Fault::Works | Fault::WrongType | Fault::Slow
        ) {
            let asked = self.wire.asked();
            eventually("the gateway has tried since", async || {
                self.wire.asked() > asked || fault == Fault::Killed
            })
            .await;
        }
    }

    /// What does not last by itself.
    pub(crate) fn again(&self, fault: Fault, turn: usize) {
        if fault == Fault::WrongType && turn.is_multiple_of(10) {
            for key in Keys::new("twolane:", false).all() {
                let list = "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'x')";
                self.redis.cli(&["EVAL", list, "1", key]);
            }
        }
    }
}
