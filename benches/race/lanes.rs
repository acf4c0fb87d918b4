//! Who races? Each lane is one configuration of one proxy, with one thread, in front of the same
//! nodes.

use super::process::Child;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    HaproxyRoundRobin,
    HaproxyLeast,
    /// What an expert writes in an afternoon: long paths may have seven of a node's eight slots.
    HaproxyByHand,
    Twolane,
    /// With the number of slots that a node has.
    TwolaneCapped,
    TwolaneRoundRobin,
}

use Lane::{
    HaproxyByHand, HaproxyLeast, HaproxyRoundRobin, Twolane, TwolaneCapped, TwolaneRoundRobin,
};

pub(crate) const ALL: [Lane; 6] = [
    HaproxyRoundRobin,
    HaproxyLeast,
    HaproxyByHand,
    TwolaneRoundRobin,
    Twolane,
    TwolaneCapped,
];

impl Lane {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            HaproxyRoundRobin => "haproxy-roundrobin",
            HaproxyLeast => "haproxy-leastconn",
            HaproxyByHand => "haproxy-by-hand",
            Twolane => "twolane",
            TwolaneCapped => "twolane-capped",
            TwolaneRoundRobin => "twolane-roundrobin",
        }
    }

    /// Why it cannot take part, if so.
    pub(crate) fn absent(self) -> Option<&'static str> {
        match self {
            HaproxyRoundRobin | HaproxyLeast | HaproxyByHand => {
                let answers = |program: &str, word: &str| {
                    let asked = Command::new(program).arg(word).output();
                    asked.is_ok()
                };
                let there = answers("haproxy", "-v") && answers("setpriv", "--version");
                (!there).then_some("haproxy (or setpriv of util-linux) is not installed")
            }
            TwolaneCapped => {
                let text = self.twolane(SocketAddr::from(([127, 0, 0, 1], 5002)), &[], 1.0);
                let text = format!("{text}nodes: [127.0.0.1:5003]\n");
                let known = twolane::server::known();
                let examined = twolane::config::examine(&text, "race.yaml", &known, &|_| None);
                examined
                    .is_err()
                    .then_some("max_in_flight is not known to this gateway")
            }
            Twolane | TwolaneRoundRobin => None,
        }
    }

    /// Starts it; `folder` is for its configuration.
    pub(crate) fn start(
        self,
        listen: SocketAddr,
        nodes: &[SocketAddr],
        clock: f64,
        folder: &Path,
    ) -> Child {
        match self {
            HaproxyRoundRobin | HaproxyLeast | HaproxyByHand => {
                let file = folder.join("haproxy.cfg");
                fs::write(&file, self.haproxy(listen, nodes)).expect("a file can be written");
                // It ends with us, however we end.
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "haproxy", "-db", "-f"]);
                Child::start(command.arg(file))
            }
            Twolane | TwolaneCapped | TwolaneRoundRobin => {
                Child::part(&["twolane", &self.twolane(listen, nodes, clock)])
            }
        }
    }

    fn twolane(self, listen: SocketAddr, nodes: &[SocketAddr], clock: f64) -> String {
        let mut text = format!(
            "listen: {listen}\nadmin: {{ listen: 127.0.0.1:0 }}\nthreads: 1\n\
             debug: {{ headers: true }}\nlimits: {{ connection_requests: 1000000 }}\n"
        );
        if !nodes.is_empty() {
            let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
            text += &format!("nodes: [{}]\n", nodes.join(", "));
        }
        if clock > 1.0 {
            // What is long, by the race's clock.
            text += &format!("learn: {{ long_threshold: {:.0}ms }}\n", 5000.0 / clock);
        }
        text += match self {
            TwolaneCapped => "max_in_flight: 8\n",
            TwolaneRoundRobin => "strategy: round_robin\n",
            _ => "",
        };
        text
    }

    fn haproxy(self, listen: SocketAddr, nodes: &[SocketAddr]) -> String {
        let servers = |extra: &str| -> String {
            let lines = nodes.iter().enumerate();
            lines
                .map(|(at, node)| format!("    server n{at} {node} check inter 2s{extra}\n"))
                .collect()
        };
        let balance = if self == HaproxyRoundRobin {
            "roundrobin"
        } else {
            "leastconn"
        };
        let mut text = format!(
            "global\n    nbthread 1\n    maxconn 4000\n\
             defaults\n    mode http\n    timeout connect 1s\n    timeout client 120s\n    \
             timeout server 120s\n    timeout queue 120s\n    balance {balance}\n    \
             option httpchk GET /health/check\n\
             frontend in\n    bind {listen}\n"
        );
        if self == HaproxyByHand {
            text += "    acl long path_end /llm/invoke\n    use_backend long if long\n";
        }
        text += "    default_backend all\n";
        text += &format!("backend all\n{}", servers(""));
        if self == HaproxyByHand {
            text += &format!("backend long\n{}", servers(" maxconn 7"));
        }
        text
    }
}
