//! Where do a node's plugins run: in processes of its own, or elsewhere?

use super::Node;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a node's health answer says of its platform.
#[derive(Debug, Default)]
pub(super) struct Platform {
    serverless: AtomicBool,
}

impl Node {
    /// Its plugins run elsewhere (`PLATFORM=serverless`), and it only passes calls on: any such node
    /// serves any plugin at once, and calls of one plugin do not contend there.
    #[must_use]
    pub fn is_serverless(&self) -> bool {
        self.platform.serverless.load(Ordering::Relaxed)
    }

    /// Notes what its last health answer said.
    pub fn note_serverless(&self, serverless: bool) {
        self.platform
            .serverless
            .store(serverless, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Role, clock};
    use crate::nodes::{Node, Plugins, Presence};
    use std::time::Duration;

    #[test]
    fn a_serverless_node_has_every_plugin_until_it_says_that_it_has_not() {
        let now = clock::now();
        let address = "10.0.0.1:5002".parse().unwrap();
        let node = Node::new("n1".into(), address, (Role::Secondary, 1), now);
        let plugin = Plugins::new().find(Some("a/b")).place();
        assert_eq!(node.presence(plugin, now), Presence::Unknown);
        node.note_serverless(true);
        assert_eq!(node.presence(plugin, now), Presence::Present);
        node.note_absent(plugin, now, Duration::from_secs(5));
        assert_eq!(node.presence(plugin, now), Presence::Absent);
        let later = now + Duration::from_secs(60);
        assert_eq!(node.presence(plugin, later), Presence::Present);
        node.note_serverless(false);
        assert_eq!(node.presence(plugin, later), Presence::Unknown);
    }
}
