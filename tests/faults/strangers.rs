//! A million keys that nobody has heard of: what is remembered stays within its bounds.

use crate::alone;
use std::fs;
use std::time::Duration;
use twolane::learn::{Classifier, Learner};
use twolane::model::{Class, LearnRules, Operation, PluginPlace, Sample, clock};
use twolane::nodes::Plugins;

const KEYS: usize = 1_000_000;
pub(crate) const MIB: usize = 1 << 20;

/// Memory of this process in RAM, in bytes.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

/// A name as a stranger would make it up; the last ones as long as a header may well be.
fn any_name(n: usize, rng: &mut fastrand::Rng) -> String {
    let mut name = format!("{:x}/{:x}", rng.u64(..), rng.u64(..));
    if n > KEYS - 5000 {
        name.push_str(&"x".repeat(64 * 1024));
    }
    name
}

#[tokio::test]
async fn a_million_made_up_names_stay_within_their_tables() {
    let _alone = alone().await;
    let mut rng = fastrand::Rng::with_seed(42);
    let rules = LearnRules::default();
    let most = rules.max_keys;
    let (learner, plugins, now) = (Learner::new(rules), Plugins::new(), clock::now());
    let before = resident();
    for n in 0..KEYS {
        let name = any_name(n, &mut rng);
        let plugin = plugins.find(Some(&name));
        let mut operation = Operation::new("tool/invoke");
        operation.push(&name);
        let running = learner.begin(&operation, now);
        let sample = Sample {
            duration: Duration::from_millis(rng.u64(..10_000)),
            censored: false,
        };
        learner.learn(&operation, sample, now);
        drop(running);
        learner.classify(&operation, Class::Short, now);
        if n % 1000 == 0 {
            assert!(
                plugin.place() != PluginPlace::NONE || name.len() > 512,
                "places nobody holds are given away, also to {name}"
            );
            assert!(learner.len() <= most, "{n}: {} keys", learner.len());
            assert!(plugins.len() < usize::from(Plugins::CAPACITY));
        }
    }
    let grown = resident().saturating_sub(before) / MIB;
    println!("a million names: {grown} MiB");
    assert_eq!(learner.len(), most, "the table is full");
    assert_eq!(plugins.len(), usize::from(Plugins::CAPACITY) - 1);
    assert!(grown <= 64, "the process grew by {grown} MiB");
    let memory = learner.remember().to_json();
    assert!(
        memory.len() < 16 * MIB,
        "what is written down is bounded too: {} bytes",
        memory.len()
    );
    println!("a million names: {} KiB written down", memory.len() / 1024);
}
