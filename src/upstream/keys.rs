//! What does a node want to be sent in the place of the client's key?

use crate::config::{Pool, PoolKind};
use crate::model::{NodeId, Secret};
use http::{HeaderName, HeaderValue, header};
use std::collections::HashMap;
use std::fmt;

/// The keys of a pool's nodes, as headers. They never print themselves.
pub(super) struct Keys {
    name: HeaderName,
    own: HashMap<NodeId, HeaderValue>,
    pools: Option<HeaderValue>,
}

impl Keys {
    /// Those that are configured; what was found is sent the pool's.
    pub(super) fn new(settings: &Pool) -> Self {
        let (name, scheme) = match settings.kind {
            PoolKind::PluginDaemon => (HeaderName::from_static("x-api-key"), ""),
            PoolKind::DifyApi => (header::AUTHORIZATION, "Bearer "),
        };
        let value = |key: &Secret| {
            // It was checked to be printable ASCII.
            let mut value = HeaderValue::from_str(&format!("{scheme}{}", key.expose())).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let own = settings.nodes.iter().filter_map(|node| {
            let key = value(node.upstream_key.as_ref()?)?;
            Some((node.id.clone(), key))
        });
        Self {
            own: own.collect(),
            pools: settings.upstream_key.as_ref().and_then(value),
            name,
        }
    }

    pub(super) fn of(&self, node: &NodeId) -> Option<(HeaderName, HeaderValue)> {
        let value = self.own.get(node).or(self.pools.as_ref())?;
        Some((self.name.clone(), value.clone()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
