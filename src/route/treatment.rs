//! How is each kind of request treated? How long may it be silent, how large may it be, who may
//! answer it, and may it come in here at all?

use crate::config::{Config, Kinds};
use crate::dify::{Asked, Kind};
use std::time::Duration;

/// How one request is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// For a node's first byte, and for each next one.
    pub read: Duration,
    /// Of the request's body, in bytes.
    pub body: u64,
    /// All of a tenant's requests of this kind go to one node, as long as it may serve: an upload
    /// and the install after it must meet where nodes do not share their storage.
    pub one_writer: bool,
    /// All requests of one hook go to one node, as long as it may serve.
    pub sticky: bool,
    /// It may become a WebSocket.
    pub websocket: bool,
}

/// The treatments of all kinds, compiled from the configuration.
#[derive(Clone, Debug)]
pub struct Treatments {
    kinds: Kinds,
    plain: Treatment,
}

impl Treatments {
    /// Compiles the configuration's `kinds`, `timeouts` and `limits`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            kinds: config.kinds.clone(),
            plain: Treatment {
                read: config.timeouts.read,
                body: config.limits.body,
                one_writer: false,
                sticky: false,
                websocket: true,
            },
        }
    }

    /// Whether requests are told apart at all; otherwise everything is forwarded as it came.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.kinds.enabled
    }

    /// Whether a path is for the daemon's operator only, not for clients of the data port.
    #[must_use]
    pub fn denies(&self, path: &str) -> bool {
        let below = |denied: &String| {
            path.strip_prefix(denied.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        };
        self.kinds.enabled && self.kinds.denied.iter().any(below)
    }

    /// How a request is treated.
    #[must_use]
    pub fn of(&self, asked: &Asked<'_>) -> Treatment {
        let kinds = &self.kinds;
        let plain = self.plain;
        if !kinds.enabled {
            return plain;
        }
        // Daemons have none, nor has an unknown path: whoever asks for one there means something else.
        let own = Treatment {
            websocket: false,
            ..plain
        };
        match (asked.kind, asked.read) {
            (Kind::Hook, _) => Treatment {
                websocket: kinds.websocket_hooks,
                body: kinds.hook_body.min(plain.body),
                sticky: kinds.sticky_hooks,
                ..plain
            },
            (Kind::Management, true) => Treatment {
                read: kinds.management_read,
                ..own
            },
            (Kind::Management, false) => Treatment {
                read: kinds.management_write,
                one_writer: kinds.one_writer && asked.tenant.is_some(),
                ..own
            },
            (Kind::Asset, _) => Treatment {
                read: kinds.asset_read,
                ..own
            },
            (Kind::Transaction, _) => Treatment {
                read: kinds.transaction_read,
                ..own
            },
            (Kind::Dispatch | Kind::Polling | Kind::Health | Kind::Other, _) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dify::{Names, describe};

    fn treatments(change: impl FnOnce(&mut Config)) -> Treatments {
        let mut config = Config::default_with([]);
        change(&mut config);
        Treatments::new(&config)
    }

    fn of(treatments: &Treatments, method: &str, path: &str) -> Treatment {
        treatments.of(&describe(method, path, Names::default()))
    }

    #[test]
    fn f198_a_websocket_is_for_hooks_only() {
        let may = |treatments: &Treatments, path| of(treatments, "GET", path).websocket;
        let on = treatments(|_| ());
        assert!(may(&on, "/e/hook/chat"));
        for own in [
            "/plugin/t/dispatch/llm/invoke",
            "/plugin/t/management/list",
            "/plugin/t/asset/abc.png",
            "/unknown",
        ] {
            assert!(!may(&on, own), "{own}");
        }
        let shut = treatments(|config| config.kinds.websocket_hooks = false);
        assert!(!may(&shut, "/e/hook/chat"));
        let off = treatments(|config| config.kinds.enabled = false);
        assert!(
            may(&off, "/plugin/t/management/list"),
            "everything as it came"
        );
    }

    #[test]
    fn f264_each_kind_has_its_own_patience() {
        let on = treatments(|_| ());
        let seconds = |method, path| of(&on, method, path).read.as_secs();
        assert_eq!(seconds("POST", "/plugin/t/dispatch/llm/invoke"), 660);
        assert_eq!(seconds("GET", "/plugin/t/management/list"), 30);
        assert_eq!(seconds("POST", "/plugin/t/management/uninstall"), 660);
        // Longer than the daemon may take (PLUGIN_INSTALL_TIMEOUT is for a task behind the answer).
        let install = "/plugin/t/management/install/identifiers";
        assert_eq!(seconds("POST", install), 660);
        assert_eq!(seconds("GET", "/plugin/t/asset/abc.png"), 30);
        assert_eq!(seconds("POST", "/backwards-invocation/transaction"), 310);
        assert_eq!(seconds("GET", "/e/hook/x"), 660);
        assert_eq!(seconds("POST", "/model-redirect/v1"), 660);
    }

    #[test]
    fn a_tenant_has_one_writer_and_readers_everywhere() {
        let on = treatments(|_| ());
        assert!(of(&on, "POST", "/plugin/t/management/install/upload/package").one_writer);
        assert!(!of(&on, "GET", "/plugin/t/management/list").one_writer);
        assert!(!of(&on, "POST", "/plugin/t/dispatch/tool/invoke").one_writer);
        let off = treatments(|config| config.kinds.one_writer = false);
        assert!(!of(&off, "POST", "/plugin/t/management/uninstall").one_writer);
    }

    #[test]
    fn a_hook_takes_what_the_daemon_would_not_cut_off() {
        let on = treatments(|_| ());
        assert_eq!(of(&on, "POST", "/e/hook/x").body, 10 << 20);
    }

    #[test]
    fn the_daemons_own_pages_are_denied_and_their_neighbours_are_not() {
        let on = treatments(|_| ());
        for denied in [
            "/metrics",
            "/metrics/",
            "/debug/pprof/heap",
            "/admin/plugin/x",
            "/admin?x",
        ] {
            assert!(on.denies(denied), "{denied} is open");
        }
        for open in ["/metricsx", "/e/metrics", "/administration", "/"] {
            assert!(!on.denies(open), "{open} is denied");
        }
        let off = treatments(|config| config.kinds.enabled = false);
        assert!(!off.denies("/metrics"));
    }
}
