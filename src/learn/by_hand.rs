//! Which operations did the operator pin while the gateway ran?
//!
//! They come before the configuration's, outlive reloads, and are written into the state file. Of
//! several that match an operation, one without `*` decides, then the longest: gateways that hear of
//! them in another order agree.

use super::learner::Learner;
use crate::model::{Class, LearnRules, Pin};
use std::cmp::Reverse;
use std::sync::Arc;

/// More are a configuration, and belong into its file.
const MOST: usize = 1000;
/// No key is longer: `model::Operation` cuts them.
const LONGEST_KEY: usize = 600;

/// # Errors
/// When no operation can have this key.
pub(super) fn check_key(operation: &str) -> Result<(), String> {
    if operation.is_empty() || operation.len() > LONGEST_KEY {
        return Err(format!("not a key: 1 to {LONGEST_KEY} bytes"));
    }
    Ok(())
}

fn rank(pin: &Pin) -> (bool, Reverse<usize>, &str) {
    let key = pin.operation.as_str();
    (key.contains('*'), Reverse(key.len()), key)
}

impl Learner {
    /// Pins an operation; `None` leaves it to learning although a pin of the configuration matches.
    ///
    /// # Errors
    /// When it is no key, or too many are pinned.
    pub fn pin(&self, operation: &str, class: Option<Class>) -> Result<(), String> {
        check_key(operation)?;
        let pin = Pin {
            operation: operation.to_owned(),
            class,
        };
        self.change_pins(|pins| {
            pins.retain(|known| known.operation != pin.operation);
            if pins.len() >= MOST {
                return Err(format!("{MOST} operations are pinned already"));
            }
            pins.push(pin);
            pins.sort_by(|a, b| rank(a).cmp(&rank(b)));
            Ok(())
        })
    }

    /// Takes such a pin away. True if there was one.
    pub fn unpin(&self, operation: &str) -> bool {
        self.change_pins(|pins| {
            let before = pins.len();
            pins.retain(|known| known.operation != operation);
            pins.len() < before
        })
    }

    /// The pins that were made while the gateway ran.
    #[must_use]
    pub fn pins_by_hand(&self) -> Vec<Pin> {
        self.by_hand.lock().clone()
    }

    /// Rules as a configuration says them, behind what was pinned by hand.
    pub(super) fn store_rules(&self, mut rules: LearnRules) {
        let by_hand = self.by_hand.lock();
        rules.pins = by_hand.iter().cloned().chain(rules.pins).collect();
        self.rules.store(Arc::new(rules));
    }

    fn change_pins<T>(&self, change: impl FnOnce(&mut Vec<Pin>) -> T) -> T {
        let mut by_hand = self.by_hand.lock();
        let mut rules = LearnRules::clone(&self.rules.load());
        let configured = rules.pins.split_off(by_hand.len().min(rules.pins.len()));
        let result = change(&mut by_hand);
        rules.pins = by_hand.iter().cloned().chain(configured).collect();
        self.rules.store(Arc::new(rules));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::rig::{bench, op};
    use super::*;
    use crate::learn::Memory;

    fn configured(rules: &mut LearnRules) {
        rules.pins = vec![Pin {
            operation: "a*".to_owned(),
            class: Some(Class::Long),
        }];
    }

    #[test]
    fn a_pin_by_hand_comes_first_outlives_a_reload_and_can_be_taken_away() {
        let bench = bench(configured);
        let class = |key: &str| bench.verdict(key).class;
        assert_eq!(class("a x"), Class::Long);
        bench.learner.pin("a|x", Some(Class::Short)).unwrap();
        assert_eq!((class("a x"), class("a y")), (Class::Short, Class::Long));
        let mut reloaded = LearnRules::default();
        configured(&mut reloaded);
        bench.learner.set_rules(reloaded);
        assert_eq!(class("a x"), Class::Short);
        bench.learner.pin("a|x", Some(Class::Long)).unwrap();
        assert_eq!(bench.learner.pins_by_hand().len(), 1, "it took its place");
        assert!(bench.learner.unpin("a|x") && !bench.learner.unpin("a|x"));
        assert_eq!(bench.learner.rules().pins.len(), 1);
        bench.learner.pin("a|x", None).unwrap();
        assert_eq!(bench.learner.pinned(&op("a x")), None, "left to learning");
        assert!(bench.learner.pin("", None).is_err());
    }

    #[test]
    fn pins_by_hand_outlive_a_restart() {
        let before = bench(|_| {});
        before.learner.pin("a|x", Some(Class::Long)).unwrap();
        before.learner.pin("b", None).unwrap();
        let text = before.learner.remember().to_json();
        let after = bench(|_| {});
        let memory = Memory::from_json(text.as_bytes()).unwrap();
        after.learner.recall(&memory, after.now).unwrap();
        assert_eq!(
            after.learner.pins_by_hand(),
            before.learner.pins_by_hand(),
            "as they were"
        );
        assert_eq!(after.verdict("a x").class, Class::Long);
    }
}
