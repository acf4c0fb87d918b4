//! Which calls arrive, and when? The same for every lane, repeatable by its seed.

use super::story;
use crate::model::{Class, Dice};
use serde_json::{Value, json};
use std::time::Duration;

/// One kind of call. Names follow those of Dify plugins and operations; durations and rates are
/// assumptions. The busiest plugin needs `0.13 * 6.5 + 2.2 * 0.1 = 1.07` of the three processes that
/// three nodes have for it.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) op: &'static str,
    pub(super) plugin: &'static str,
    /// The tool, model or agent strategy.
    pub(super) item: &'static str,
    /// Mean duration in seconds of the demo's clock.
    mean: f64,
    /// Arrivals per second of the demo's clock.
    rate: f64,
    /// Events in the answer.
    events: u32,
}

/// The mix. `langgenius/ocr` and `langgenius/charts` compute: their process does one call at a
/// time, and a short call behind a long one in the same process waits for it.
pub(super) const KINDS: [Kind; 7] = [
    kind(
        "tool/invoke",
        "langgenius/ocr",
        "scan_document",
        6.5,
        0.13,
        1,
    ),
    kind(
        "tool/invoke",
        "langgenius/ocr",
        "detect_language",
        0.10,
        2.2,
        1,
    ),
    kind("tool/invoke", "langgenius/charts", "render", 0.25, 2.0, 1),
    kind(
        "tool/invoke",
        "langgenius/google",
        "google_search",
        0.35,
        1.6,
        1,
    ),
    kind(
        "text_embedding/invoke",
        "langgenius/openai",
        "text-embedding-3-small",
        0.20,
        1.2,
        1,
    ),
    kind("llm/invoke", "langgenius/openai", "gpt-4o", 7.4, 0.5, 24),
    kind(
        "agent_strategy/invoke",
        "langgenius/agent",
        "function_calling",
        9.0,
        0.2,
        12,
    ),
];

/// The plugins whose process does one call at a time.
pub(super) const COMPUTING: [&str; 2] = ["langgenius/ocr", "langgenius/charts"];

/// What arrives at once half way: places in [`KINDS`]. Three documents to scan, which compute, and
/// nine long answers of a model, which only wait.
pub(super) const BURST: [usize; 12] = [0, 0, 0, 5, 5, 5, 5, 5, 5, 5, 5, 5];

/// From here on a call is long, by the demo's clock; the gateway learns which ones are.
const LONG: Duration = Duration::from_secs(5);

const fn kind(
    op: &'static str,
    plugin: &'static str,
    item: &'static str,
    mean: f64,
    rate: f64,
    events: u32,
) -> Kind {
    Kind {
        op,
        plugin,
        item,
        mean,
        rate,
        events,
    }
}

/// One call. Durations are of the demo's clock.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) at: Duration,
    pub(super) kind: &'static Kind,
    /// How long it takes a node that does nothing else: its true size.
    pub(super) work: Duration,
}

impl Call {
    /// Sizes vary by a third around their mean.
    fn new(kind: &'static Kind, at: Duration, dice: &mut Dice) -> Self {
        let spread = 0.67 + 0.66 * dice.f64();
        Self {
            at,
            kind,
            work: Duration::from_secs_f64(kind.mean * spread),
        }
    }

    /// Its true class, which no gateway is told.
    pub(super) fn class(&self) -> Class {
        if self.work >= LONG {
            Class::Long
        } else {
            Class::Short
        }
    }

    /// The body as Dify writes it, with the stand-in's script where the tool's parameters are.
    pub(super) fn body(&self, id: usize) -> Value {
        let work = u64::try_from(self.work.as_millis()).unwrap_or(u64::MAX);
        let gaps = u64::from(self.kind.events - 1);
        let first = if gaps > 0 { work / 10 } else { work };
        let gap = (work - first).checked_div(gaps).unwrap_or(0);
        let script = json!({
            "id": id.to_string(), "ttfb_ms": first, "gap_ms": gap,
            "events": self.kind.events, "event_bytes": 64,
        });
        let item = self.kind.item;
        match self.kind.op {
            "agent_strategy/invoke" => json!({ "user_id": "demo", "data": {
                "agent_strategy_provider": "agent", "agent_strategy": item, "__sim": script } }),
            "tool/invoke" => json!({ "user_id": "demo", "data": {
                "provider": "demo", "tool": item, "credentials": {},
                "tool_parameters": { "__sim": script } } }),
            _ => json!({ "data": { "provider": "openai", "model": item, "credentials": {},
                "__sim": script }, "user_id": "demo" }),
        }
    }
}

/// Calls in order of arrival.
#[derive(Debug)]
pub(super) struct Trace {
    /// When the burst arrives.
    pub(super) burst: Duration,
    pub(super) calls: Vec<Call>,
}

impl Trace {
    /// Poisson arrivals of each kind for `length`, and the burst.
    pub(super) fn new(seed: u64, length: Duration) -> Self {
        Self::of(seed, length)
    }

    /// Nothing but a burst, at once.
    pub(super) fn burst(seed: u64) -> Self {
        Self::of(seed, Duration::ZERO)
    }

    fn of(seed: u64, length: Duration) -> Self {
        let mut dice = Dice::with_seed(seed);
        let burst = length.mul_f64(story::BURST);
        let mut calls: Vec<_> = BURST
            .map(|at| Call::new(&KINDS[at], burst, &mut dice))
            .into();
        for kind in &KINDS {
            let mut at = 0.0;
            loop {
                at += -(1.0 - dice.f64()).ln() / kind.rate;
                if at >= length.as_secs_f64() {
                    break;
                }
                calls.push(Call::new(kind, Duration::from_secs_f64(at), &mut dice));
            }
        }
        calls.sort_by_key(|call| call.at);
        Self { burst, calls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_a_trace_and_another_gives_another() {
        let trace = |seed| {
            let trace = Trace::new(seed, Duration::from_secs(60));
            let calls = trace.calls.iter();
            calls
                .map(|call| (call.at, call.kind.item, call.work))
                .collect::<Vec<_>>()
        };
        assert_eq!(trace(42), trace(42));
        assert_ne!(trace(42), trace(43));
        assert!(trace(42).is_sorted_by_key(|call| call.0));
    }
}
