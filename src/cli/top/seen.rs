//! What was seen, and what does a key mean?

use crate::cli::figures::{count, rows};
use ratatui::crossterm::event::KeyCode;
use serde_json::Value;

/// What the gateway told, and where the operator's eye is.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) overview: Value,
    /// The overview before, for rates.
    before: Value,
    pub(super) operations: Value,
    pub(super) decisions: Value,
    /// The name of the chosen node.
    pub(super) chosen: Option<String>,
    /// What is asked before it is done: a node and a state.
    pub(super) asking: Option<(String, &'static str)>,
    /// What went wrong last.
    pub(super) said: Option<String>,
}

/// What follows from a key.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Leave,
    Draw,
    Look,
    Set(String, &'static str),
}

impl Seen {
    /// The next look.
    pub(super) fn after(self, overview: Value, operations: Value, decisions: Value) -> Self {
        Self {
            // Two looks in one second would make rates of nothing.
            before: if at(&overview) < at(&self.overview) + 500 {
                self.before
            } else {
                self.overview
            },
            overview,
            operations,
            decisions,
            said: None,
            ..self
        }
    }

    /// Requests of a class that ended per second.
    pub(super) fn rate(&self, class: &str) -> Option<f64> {
        let passed = at(&self.overview).checked_sub(at(&self.before))?;
        let ended = |overview: &Value| overview["now"][class]["ended"].as_u64();
        let more = ended(&self.overview)?.saturating_sub(ended(&self.before)?);
        (passed > 0).then(|| more as f64 * 1e3 / passed as f64)
    }

    pub(super) fn press(&mut self, key: KeyCode) -> Step {
        if let Some((node, hand)) = self.asking.take() {
            return match key {
                KeyCode::Char('y' | 'Y') => Step::Set(node, hand),
                _ => Step::Draw,
            };
        }
        match key {
            KeyCode::Char('q') | KeyCode::Esc => Step::Leave,
            KeyCode::Down | KeyCode::Char('j') => self.choose(1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(-1),
            KeyCode::Char('d') => self.ask("drain"),
            KeyCode::Char('r') => self.ask("ready"),
            _ => Step::Draw,
        }
    }

    fn choose(&mut self, by: isize) -> Step {
        let nodes = rows(&self.overview["nodes"]);
        let names: Vec<_> = nodes
            .iter()
            .filter_map(|node| node["id"].as_str())
            .collect();
        let now = self.chosen.as_deref();
        let now = names.iter().position(|name| Some(*name) == now);
        let next = match now {
            None => 0,
            Some(now) => now
                .saturating_add_signed(by)
                .min(names.len().saturating_sub(1)),
        };
        self.chosen = names.get(next).map(|name| (*name).to_owned());
        Step::Draw
    }

    fn ask(&mut self, hand: &'static str) -> Step {
        self.asking = self.chosen.clone().map(|node| (node, hand));
        Step::Draw
    }
}

fn at(overview: &Value) -> u64 {
    count(&overview["now"]["at_ms"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn overview(at_ms: u64, ended: u64) -> Value {
        json!({"now": {"at_ms": at_ms, "short": {"ended": ended}}, "nodes": [{"id": "n1"}, {"id": "n2"}]})
    }

    #[test]
    fn a_drain_is_asked_for_twice_and_any_other_key_takes_it_back() {
        let mut seen = Seen::default().after(overview(0, 0), Value::Null, Value::Null);
        assert_eq!(
            seen.press(KeyCode::Char('d')),
            Step::Draw,
            "nobody is chosen"
        );
        assert_eq!(seen.asking, None);
        seen.press(KeyCode::Down);
        seen.press(KeyCode::Down);
        seen.press(KeyCode::Down);
        assert_eq!(
            seen.chosen.as_deref(),
            Some("n2"),
            "the last one stays the last"
        );
        seen.press(KeyCode::Char('d'));
        assert_eq!(seen.press(KeyCode::Char('n')), Step::Draw);
        seen.press(KeyCode::Char('d'));
        assert_eq!(
            seen.press(KeyCode::Char('y')),
            Step::Set("n2".to_owned(), "drain")
        );
        seen.press(KeyCode::Char('r'));
        assert_eq!(
            seen.press(KeyCode::Char('y')),
            Step::Set("n2".to_owned(), "ready")
        );
        assert_eq!(seen.press(KeyCode::Char('q')), Step::Leave);
    }

    #[test]
    fn a_rate_is_what_ended_between_two_looks() {
        let seen = Seen::default().after(overview(1000, 10), Value::Null, Value::Null);
        assert_eq!(seen.rate("short"), None, "one look is no rate");
        let seen = seen.after(overview(3000, 16), Value::Null, Value::Null);
        assert_eq!(seen.rate("short"), Some(3.0));
        let seen = seen.after(overview(3100, 17), Value::Null, Value::Null);
        assert!(
            seen.rate("short").is_some_and(|rate| rate < 4.0),
            "too soon for a new one"
        );
    }
}
