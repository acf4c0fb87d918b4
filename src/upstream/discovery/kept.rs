//! What does a source say, and what did it last say? A source that fails changes nothing.

use super::fence::Fence;
use super::{Discovery, DiscoveryError};
use crate::nodes::Entry;
use parking_lot::Mutex;
use std::sync::Arc;

/// A source behind the fence, with its last good answer.
#[derive(Debug)]
pub(super) struct Kept {
    /// What it is called in the log; equal for the same source in another configuration.
    pub(super) label: String,
    source: Box<dyn Discovery>,
    fence: Arc<Fence>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    last_good: Option<Vec<Entry>>,
    /// Why it fails; told once.
    trouble: Option<DiscoveryError>,
}

impl Kept {
    /// A source of which nothing is known yet.
    pub(super) fn new(label: String, source: Box<dyn Discovery>, fence: &Arc<Fence>) -> Self {
        Self {
            label,
            source,
            fence: Arc::clone(fence),
            memory: Mutex::default(),
        }
    }

    /// Takes over what the same source said before a reload, as far as the fence lets it.
    pub(super) fn inherit(&self, before: &Self) {
        let mut known = before.memory.lock().last_good.clone();
        if let Some(entries) = &mut known {
            entries.retain(|entry| self.fence.admits(entry.address));
        }
        self.memory.lock().last_good = known;
    }

    /// The nodes of this source; none when it never answered.
    pub(super) async fn look(&self) -> Option<Vec<Entry>> {
        let answer = self.source.discover().await;
        let mut memory = self.memory.lock();
        match answer {
            Ok(mut entries) => {
                entries.retain(|entry| self.fence.admits(entry.address));
                if memory.trouble.take().is_some() {
                    log::info!("discovery answers again source={}", self.label);
                }
                memory.last_good = Some(entries);
            }
            Err(error) => {
                let kept = memory.last_good.as_ref().map_or(0, Vec::len);
                if memory.trouble.as_ref() != Some(&error) {
                    log::warn!(
                        "discovery failed, keeping the last known nodes source={} nodes={kept} \
                         error={error}",
                        self.label
                    );
                }
                memory.trouble = Some(error);
            }
        }
        memory.last_good.clone()
    }

    /// Whether its last answer was one.
    pub(super) fn is_up(&self) -> bool {
        self.memory.lock().trouble.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;
    use crate::nodes::Hand;
    use async_trait::async_trait;
    use std::net::SocketAddr;

    type Answer = Result<Vec<Entry>, DiscoveryError>;

    #[derive(Debug)]
    struct Says(Arc<Mutex<Answer>>);

    #[async_trait]
    impl Discovery for Says {
        async fn discover(&self) -> Answer {
            self.0.lock().clone()
        }
    }

    fn entry(last: u8) -> Entry {
        Entry {
            id: format!("n{last}").into(),
            address: SocketAddr::from(([10, 0, 0, last], 5002)),
            role: Role::Secondary,
            weight: 1,
            hand: Hand::Ready,
            boot: None,
            max_in_flight: None,
            server_name: None,
        }
    }

    #[tokio::test]
    async fn a_failure_changes_nothing_and_a_certain_nobody_does() {
        let says = Arc::new(Mutex::new(Err(DiscoveryError("away".to_owned()))));
        let source = || Box::new(Says(Arc::clone(&says)));
        let open = Arc::new(Fence::default());
        let kept = Kept::new("test".to_owned(), source(), &open);
        assert_eq!(kept.look().await, None, "nothing is known yet");
        assert!(!kept.is_up());
        *says.lock() = Ok(vec![entry(1), entry(2)]);
        assert_eq!(kept.look().await, Some(vec![entry(1), entry(2)]));
        assert!(kept.is_up());
        *says.lock() = Err(DiscoveryError("away".to_owned()));
        assert_eq!(kept.look().await, Some(vec![entry(1), entry(2)]));
        let narrow = Fence::new(Vec::new(), vec!["10.0.0.2/32".parse().expect("one")]);
        let next = Kept::new("test".to_owned(), source(), &Arc::new(narrow));
        next.inherit(&kept);
        assert_eq!(next.look().await, Some(vec![entry(2)]));
        *says.lock() = Ok(Vec::new());
        assert_eq!(kept.look().await, Some(Vec::new()));
    }
}
