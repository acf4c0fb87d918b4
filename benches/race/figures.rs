//! What do outcomes come to?

use super::event::Outcome;
use twolane::model::Class;

/// In seconds of the race's clock.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) mean: f64,
    pub(crate) short: Spread,
    pub(crate) long: Spread,
    /// What long calls took beyond what they take alone.
    pub(crate) wait: Spread,
    pub(crate) failures: usize,
    pub(crate) late: Spread,
    /// Calls whose class the gateway told.
    pub(crate) told: usize,
    /// Of these, truly short ones that were told to be long, and long ones told to be short.
    pub(crate) mistold: [usize; 2],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        if values.is_empty() {
            return Self::default();
        }
        values.sort_by(f64::total_cmp);
        // As the figures of other proxies were read.
        let at = |share: f64| {
            let index = (values.len() as f64 * share) as usize;
            values[index.min(values.len() - 1)]
        };
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            most: values[values.len() - 1],
        }
    }
}

impl Figures {
    pub(crate) fn of(outcomes: &[Outcome], clock: f64) -> Self {
        let of = |class: Class| outcomes.iter().filter(move |it| it.class == class);
        let took = |it: &Outcome| it.took * clock;
        let wait = |it: &Outcome| (it.took - it.alone) * clock;
        let told = outcomes.iter().filter(|it| it.told.is_some());
        let mistold = |class: Class| {
            let wrong = |it: &&Outcome| it.told.is_some_and(|told| told != class);
            of(class).filter(wrong).count()
        };
        Self {
            mean: Spread::of(outcomes.iter().map(took)).mean,
            short: Spread::of(of(Class::Short).map(took)),
            long: Spread::of(of(Class::Long).map(took)),
            wait: Spread::of(of(Class::Long).map(wait)),
            failures: outcomes.iter().filter(|it| it.failed.is_some()).count(),
            late: Spread::of(outcomes.iter().map(|it| it.late)),
            told: told.count(),
            mistold: [mistold(Class::Short), mistold(Class::Long)],
        }
    }
}
