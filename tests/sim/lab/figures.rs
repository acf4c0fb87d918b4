//! What came of it? Classes are true ones: by what a request takes, not by what it was taken for.

use super::trace::Trace;
use super::workload::TRULY_LONG;

/// How one request fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Fate {
    /// When it ended, in seconds.
    pub(crate) end: f64,
    /// The node that it was last sent to.
    pub(crate) node: u16,
    /// How often it was sent.
    pub(crate) attempts: u8,
    /// It came to nothing.
    pub(crate) failed: bool,
}

/// What one run or several, one after another, came to. Seconds, but for slowdowns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) mean: f64,
    pub(crate) short_mean: f64,
    pub(crate) short_p50: f64,
    pub(crate) short_p99: f64,
    pub(crate) long_mean: f64,
    pub(crate) long_p99: f64,
    /// Time taken by time needed.
    pub(crate) slowdown: f64,
    pub(crate) slowdown_p99: f64,
    pub(crate) max: f64,
    /// The share of all requests that came to nothing.
    pub(crate) errors: f64,
}

/// Requests of the first tenth are not counted: caches are cold for everybody.
pub(crate) fn warmup(count: usize) -> usize {
    count / 10
}

impl Figures {
    /// Of one run.
    pub(crate) fn of(trace: &Trace, fates: &[Fate]) -> Self {
        Self::after(warmup(fates.len()), trace, fates)
    }

    /// The same without so many of its first requests.
    pub(crate) fn after(warmup: usize, trace: &Trace, fates: &[Fate]) -> Self {
        let mut all = Vec::with_capacity(fates.len());
        let (mut short, mut long, mut slow) = (Vec::new(), Vec::new(), Vec::new());
        let counted = trace.arrivals.iter().zip(fates).skip(warmup);
        for (arrival, fate) in counted {
            let took = fate.end - arrival.seconds();
            all.push(took);
            slow.push(took / arrival.size_seconds());
            if arrival.size_seconds() < TRULY_LONG {
                short.push(took);
            } else {
                long.push(took);
            }
        }
        let failed = fates.iter().filter(|fate| fate.failed).count();
        for series in [&mut all, &mut short, &mut long, &mut slow] {
            series.sort_by(f64::total_cmp);
        }
        Self {
            mean: mean(&all),
            short_mean: mean(&short),
            short_p50: at(&short, 0.5),
            short_p99: at(&short, 0.99),
            long_mean: mean(&long),
            long_p99: at(&long, 0.99),
            slowdown: mean(&slow),
            slowdown_p99: at(&slow, 0.99),
            max: at(&all, 1.0),
            errors: failed as f64 / fates.len() as f64,
        }
    }

    /// The p99 of one operation, whatever its requests truly took.
    pub(crate) fn p99_of(trace: &Trace, fates: &[Fate], operation: u16) -> f64 {
        let counted = trace.arrivals.iter().zip(fates).skip(warmup(fates.len()));
        let of = counted.filter(|(arrival, _)| arrival.operation == operation);
        let mut took: Vec<_> = of.map(|(it, fate)| fate.end - it.seconds()).collect();
        took.sort_by(f64::total_cmp);
        at(&took, 0.99)
    }

    /// The mean of several runs' figures.
    pub(crate) fn mean(runs: &[Self]) -> Self {
        let of = |pick: fn(&Self) -> f64| runs.iter().map(pick).sum::<f64>() / runs.len() as f64;
        Self {
            mean: of(|it| it.mean),
            short_mean: of(|it| it.short_mean),
            short_p50: of(|it| it.short_p50),
            short_p99: of(|it| it.short_p99),
            long_mean: of(|it| it.long_mean),
            long_p99: of(|it| it.long_p99),
            slowdown: of(|it| it.slowdown),
            slowdown_p99: of(|it| it.slowdown_p99),
            max: of(|it| it.max),
            errors: of(|it| it.errors),
        }
    }
}

pub(crate) fn mean(sorted: &[f64]) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.iter().sum::<f64>() / sorted.len() as f64
}

/// The value below which a share of them lies; 0 of none.
pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    match sorted.len() {
        0 => 0.0,
        len => sorted[place.min(len - 1)],
    }
}
