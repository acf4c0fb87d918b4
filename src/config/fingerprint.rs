//! Do two gateways have the same configuration?

use super::defaults;
use super::print;
use super::sections::{Admin, Config, State, Tcp};

/// Sixteen digits, the same for all configurations that treat requests alike. Where a gateway
/// listens and what it writes on its own disk is its own business; secrets are not looked at.
#[must_use]
pub fn fingerprint(config: &Config) -> String {
    let plain = Config {
        listen: vec![defaults::LISTEN],
        admin: Admin::default(),
        threads: 0,
        tcp: Tcp {
            listen: None,
            ..config.tcp.clone()
        },
        state: State::default(),
        ..config.clone()
    };
    // FNV-1a: stable from one program to the next, which the standard hasher does not promise.
    let hash = print::masked(&plain)
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeEntry;

    #[test]
    fn what_requests_do_not_feel_is_no_drift() {
        let node = |text: &str| NodeEntry::at(text.parse().expect("an address"));
        let config = Config::default_with([node("a:1")]);
        let mut same = config.clone();
        same.listen = vec!["127.0.0.1:9".parse().expect("an address")];
        same.threads = 4;
        assert_eq!(fingerprint(&same), fingerprint(&config));
        let other = Config::default_with([node("a:2")]);
        assert_ne!(fingerprint(&other), fingerprint(&config));
        assert_eq!(fingerprint(&config).len(), 16);
    }
}
