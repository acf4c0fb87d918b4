//! Where does a host name lead? Looked up in the background only.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long one look-up may take. The last addresses stay when it fails.
const LOOKUP: Duration = Duration::from_secs(2);

/// What a look-up brings.
type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// A resolver. The default is the system's, which knows the hosts file, the search domains of a
/// container and its `resolv.conf`; a resolver of our own would know the records' TTL, and nothing
/// of those.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> Answer + Send + Sync>);

impl Lookup {
    /// A resolver that asks `look_up`.
    pub fn new<F, A>(look_up: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |host| Box::pin(look_up(host))))
    }
}

impl Default for Lookup {
    fn default() -> Self {
        Self::new(|host| async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// The last good addresses of each host name. Outlives reloads: a reload in a moment without DNS
/// must not lose the nodes that were known.
#[derive(Debug, Default)]
pub struct Names {
    lookup: Lookup,
    last_good: Mutex<HashMap<String, Vec<IpAddr>>>,
}

impl Names {
    /// Names that are looked up there.
    #[must_use]
    pub fn with(lookup: Lookup) -> Self {
        Self {
            lookup,
            last_good: Mutex::default(),
        }
    }

    /// The addresses of a name now, each once and in order; never none.
    pub(super) async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let answer = tokio::time::timeout(LOOKUP, (self.lookup.0)(host.to_owned())).await;
        match answer {
            Ok(Ok(mut found)) => {
                found.sort();
                found.dedup();
                if found.is_empty() {
                    return Err(format!("host name without an address host={host}"));
                }
                Ok(found)
            }
            Ok(Err(error)) => Err(format!("host name not resolved host={host} error={error}")),
            Err(_late) => Err(format!("host name not resolved in time host={host}")),
        }
    }

    /// The addresses of a name; the last known ones while it cannot be resolved.
    pub(super) async fn look_up(&self, host: &str) -> Vec<IpAddr> {
        match self.ask(host).await {
            Ok(found) => {
                let mut last_good = self.last_good.lock();
                last_good.insert(host.to_owned(), found.clone());
                found
            }
            Err(why) => {
                log::warn!("{why}");
                let last_good = self.last_good.lock();
                last_good.get(host).cloned().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_good_addresses_stay() {
        let there = Arc::new(Mutex::new(vec![
            IpAddr::from([10, 0, 0, 2]),
            IpAddr::from([10, 0, 0, 1]),
            IpAddr::from([10, 0, 0, 2]),
        ]));
        let answers = Arc::clone(&there);
        let names = Names::with(Lookup::new(move |_host| {
            let found = answers.lock().clone();
            async move { Ok(found) }
        }));
        let known = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        assert_eq!(names.look_up("daemon").await, known, "each once, in order");
        there.lock().clear();
        assert!(names.ask("daemon").await.is_err(), "nobody is no answer");
        assert_eq!(names.look_up("daemon").await, known);
        assert!(names.look_up("other").await.is_empty());
    }

    #[tokio::test]
    async fn the_systems_resolver_knows_this_machine() {
        let found = Names::default().ask("localhost").await.expect("localhost");
        assert!(found.iter().all(IpAddr::is_loopback));
        assert!(Names::default().ask("no-such-host.invalid").await.is_err());
    }
}
