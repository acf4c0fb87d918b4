//! Is a request worth a line?

use super::Facts;
use crate::model::{LogRules, Notable};
use crate::observe::Ending;

/// What is said of a request beside its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It took at least `slow`.
    pub slow: bool,
    /// More than `large` bytes came or went.
    pub large: bool,
}

/// The marks of a request that is written; none when it is not. `dice` is from 0 to 1.
#[must_use]
pub fn judge(rules: &LogRules, facts: &Facts, dice: f64) -> Option<Marks> {
    let marks = Marks {
        slow: facts.took >= rules.slow,
        large: facts.bytes_in.max(facts.bytes_out) > rules.large,
    };
    // The dice are never 1, so that a share of 1 is everything.
    let drawn = dice < rules.sample;
    let fits = |notable: &Notable| fits(*notable, facts, marks);
    (drawn || rules.always.iter().any(fits)).then_some(marks)
}

fn fits(notable: Notable, facts: &Facts, marks: Marks) -> bool {
    match notable {
        Notable::Slow => marks.slow,
        Notable::Large => marks.large,
        Notable::Waited => !facts.waited.is_zero(),
        Notable::Retried => facts.attempts > 1,
        Notable::Rejected => facts.ending == Ending::Rejected,
        Notable::ClientGone => facts.ending == Ending::ClientGone,
        Notable::Broken => facts.ending == Ending::Broken,
        Notable::Status(status) => facts.status == Some(status),
        Notable::Hundred(hundred) => facts.status.is_some_and(|status| status / 100 == hundred),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::record;
    use super::*;
    use crate::model::LogFormat;
    use std::time::Duration;

    fn rules(always: &[Notable], sample: f64) -> LogRules {
        LogRules {
            format: LogFormat::Json,
            always: always.to_vec(),
            sample,
            slow: Duration::from_secs(1),
            large: 100,
        }
    }

    #[test]
    fn f213_each_condition_is_judged_at_the_end() {
        type Make = fn(&mut Facts);
        let rows: [(Notable, Make); 10] = [
            (Notable::Slow, |facts| {
                facts.took = Duration::from_secs(1);
            }),
            (Notable::Large, |facts| {
                facts.bytes_out = 101;
            }),
            (Notable::Large, |facts| {
                facts.bytes_in = 101;
            }),
            (Notable::Waited, |facts| {
                facts.waited = Duration::from_millis(1);
            }),
            (Notable::Retried, |facts| {
                facts.attempts = 2;
            }),
            (Notable::Rejected, |facts| {
                facts.ending = Ending::Rejected;
            }),
            (Notable::ClientGone, |facts| {
                facts.ending = Ending::ClientGone;
            }),
            (Notable::Broken, |facts| {
                facts.ending = Ending::Broken;
            }),
            (Notable::Status(429), |facts| {
                facts.status = Some(429);
            }),
            (Notable::Hundred(5), |facts| {
                facts.status = Some(503);
            }),
        ];
        let all: Vec<_> = rows.iter().map(|(notable, _)| *notable).collect();
        assert_eq!(judge(&rules(&all, 0.0), &record().facts, 0.0), None);
        for (notable, make) in rows {
            let mut fitting = record().facts;
            make(&mut fitting);
            let written = |always: &[Notable]| judge(&rules(always, 0.0), &fitting, 0.0).is_some();
            let others: Vec<_> = all
                .iter()
                .copied()
                .filter(|each| *each != notable)
                .collect();
            assert!(written(&[notable]), "{notable}");
            assert!(!written(&others), "{notable} is that and nothing else");
        }
    }

    #[test]
    fn f214_what_is_slow_is_marked_whether_or_not_that_is_why_it_is_written() {
        let slow = Facts {
            took: Duration::from_secs(1),
            ..record().facts
        };
        let marks = judge(&rules(&[], 1.0), &slow, 0.999).expect("everything is written");
        assert_eq!((marks.slow, marks.large), (true, false));
    }

    #[test]
    fn of_the_rest_a_share_is_written() {
        let written = |sample, dice| judge(&rules(&[], sample), &record().facts, dice).is_some();
        assert!(written(1.0, 0.999_999) && !written(0.0, 0.0));
        assert!(written(0.1, 0.09) && !written(0.1, 0.1));
    }
}
