//! Who is ahead? What a lane's calls came to, second by second and at the end.

use super::caller::Answer;
use crate::model::Class;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// One call that ended. Durations are of the demo's clock.
#[derive(Debug)]
pub(super) struct Result {
    pub(super) class: Class,
    pub(super) took: Duration,
    pub(super) answer: std::result::Result<Answer, String>,
}

/// One lane's calls so far.
#[derive(Debug)]
pub(super) struct Board {
    strategy: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: usize,
    took: [Vec<f64>; Class::ALL.len()],
    failures: [usize; Class::ALL.len()],
    /// (true class, node) -> calls.
    went: BTreeMap<(Class, String), usize>,
    misjudged: usize,
    first_failure: Option<String>,
}

/// What a lane came to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    strategy: &'static str,
    pub(super) failures: usize,
    first_failure: Option<String>,
    classes: Vec<Row>,
    /// Calls whose class the gateway did not know or guessed wrong.
    misjudged: usize,
    learned: Vec<Learned>,
}

/// One class of one lane. Seconds of the demo's clock.
#[derive(Debug, Serialize)]
struct Row {
    class: &'static str,
    count: usize,
    p50_s: f64,
    p95_s: f64,
    p99_s: f64,
    max_s: f64,
    errors: usize,
    /// Calls per node.
    went: BTreeMap<String, usize>,
}

/// An operation the gateway knows by now.
#[derive(Debug, Serialize)]
pub(super) struct Learned {
    pub(super) operation: String,
    #[serde(serialize_with = "word")]
    pub(super) class: Class,
    /// What is compared with the threshold; the mean of a few samples need not explain the class.
    pub(super) score_s: f64,
    pub(super) samples: u64,
}

fn word<S: serde::Serializer>(class: &Class, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(class.word())
}

impl Board {
    pub(super) fn new(strategy: &'static str) -> Self {
        Self {
            strategy,
            state: Mutex::default(),
        }
    }

    pub(super) fn begin(&self) {
        self.state.lock().begun += 1;
    }

    pub(super) fn end(&self, result: Result) {
        let mut state = self.state.lock();
        let class = result.class;
        match result.answer {
            Ok(answer) => {
                state.took[class.index()].push(result.took.as_secs_f64());
                state.misjudged += usize::from(answer.class != class.word());
                *state.went.entry((class, answer.node)).or_default() += 1;
            }
            Err(why) => {
                state.failures[class.index()] += 1;
                state.first_failure.get_or_insert(why);
            }
        }
    }

    /// The live line of this lane.
    pub(super) fn line(&self) -> String {
        let state = self.state.lock();
        let mut short = state.took[Class::Short.index()].clone();
        short.sort_by(f64::total_cmp);
        let ended: usize = state.took.iter().map(Vec::len).sum();
        let failures: usize = state.failures.iter().sum();
        format!(
            "{:<11} done {ended:>4}  running {:>3}  short p50 {:>5.2} s p99 {:>5.2} s  errors {failures}",
            self.strategy,
            state.begun - ended - failures,
            quantile(&short, 0.50),
            quantile(&short, 0.99),
        )
    }

    pub(super) fn summary(&self, strategy: &'static str, learned: Vec<Learned>) -> Summary {
        let state = self.state.lock();
        let classes = Class::ALL.map(|class| {
            let mut took = state.took[class.index()].clone();
            took.sort_by(f64::total_cmp);
            let went = state.went.iter().filter(|((of, _), _)| *of == class);
            Row {
                class: class.word(),
                count: took.len(),
                p50_s: quantile(&took, 0.50),
                p95_s: quantile(&took, 0.95),
                p99_s: quantile(&took, 0.99),
                max_s: quantile(&took, 1.0),
                errors: state.failures[class.index()],
                went: went
                    .map(|((_, node), count)| (node.clone(), *count))
                    .collect(),
            }
        });
        Summary {
            strategy,
            failures: state.failures.iter().sum(),
            first_failure: state.first_failure.clone(),
            classes: classes.into(),
            misjudged: state.misjudged,
            learned,
        }
    }
}

/// The smallest value that `share` of all values do not exceed; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position in a list of a few thousand"
    )]
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or_default()
}

/// The final tables.
pub(super) fn table(lanes: &[Summary]) -> String {
    let mut out = String::from(
        "\nlane         class  calls     p50      p95      p99      max  errors  where they went\n",
    );
    for lane in lanes {
        for row in &lane.classes {
            let went: Vec<_> = row
                .went
                .iter()
                .map(|(node, count)| format!("{node} {count}"))
                .collect();
            let _ = writeln!(
                out,
                "{:<12} {:<5} {:>6} {:>6.2}s {:>7.2}s {:>7.2}s {:>7.2}s {:>7}  {}",
                lane.strategy,
                row.class,
                row.count,
                row.p50_s,
                row.p95_s,
                row.p99_s,
                row.max_s,
                row.errors,
                went.join(", "),
            );
        }
    }
    if let Some(ours) = lanes.first() {
        let _ = writeln!(
            out,
            "\nlearned by {} ({} calls came before their operation was known, or were misjudged)",
            ours.strategy, ours.misjudged
        );
        for row in &ours.learned {
            let _ = writeln!(
                out,
                "  {:<5}  score {:>6.2}s  samples {:>5}  {}",
                row.class.word(),
                row.score_s,
                row.samples,
                row.operation
            );
        }
    }
    for lane in lanes {
        if let Some(why) = &lane.first_failure {
            let _ = writeln!(
                out,
                "{}: {} calls failed, the first with: {why}",
                lane.strategy, lane.failures
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&values, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((quantile(&values, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((quantile(&values, 1.0) - 100.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
        assert!((quantile(&[7.0], 0.01) - 7.0).abs() < f64::EPSILON);
    }
}
