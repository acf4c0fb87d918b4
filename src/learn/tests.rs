//! Does learning keep what the checklist promises? One test per row, named after it.

use super::rig::{SECOND, bench, each_score, op};
use super::*;
use crate::model::{Basis, LearnRules, Pin, Score, Threshold};
use std::time::Duration;

#[test]
fn f013_exactly_the_threshold_is_long() {
    each_score(|score| {
        // 4.999999999 s and the like: no rounding may take a threshold's own samples below it.
        for threshold_ms in [1, 3, 100, 4999, 5000, 29_999] {
            let threshold = Duration::from_millis(threshold_ms);
            let bench = bench(|rules| {
                rules.score = score;
                rules.long_threshold = Threshold::Fixed(threshold);
            });
            bench.took("elsewhere", 50, 0);
            for _ in 0..7 {
                bench.sample("exact", threshold, false);
                bench.sample("below", threshold - Duration::from_nanos(1), false);
            }
            assert!(bench.long("exact"), "{score:?} {threshold_ms}");
            assert!(!bench.long("below"), "{score:?} {threshold_ms}");
        }
    });
}

#[test]
fn f014_plugins_are_told_apart_and_a_thousand_tenants_are_one_key() {
    let bench = bench(|_| {});
    bench.took("tool/invoke slow", 10, 9 * SECOND);
    bench.took("tool/invoke fast", 10, 10);
    assert!(bench.long("tool/invoke slow") && !bench.long("tool/invoke fast"));

    let mut keys = std::collections::HashSet::new();
    let learner = Learner::new(LearnRules::default());
    for tenant in 0..1000 {
        let path = format!("/plugin/{tenant:032x}/dispatch/tool/invoke");
        // As `dify` makes it of the path and the header: op and plugin, without the tenant.
        let operation = op(&format!("{} author/plugin", &path[path.len() - 11..]));
        keys.insert(operation.to_string());
        let sample = Sample {
            duration: Duration::from_secs(1),
            censored: false,
        };
        learner.learn(&operation, sample, bench.now);
    }
    assert_eq!(
        (keys.len(), learner.len()),
        (1, 2),
        "one key, and its coarse level"
    );
}

#[test]
fn f015_the_duration_learned_is_the_duration_given() {
    // What is measured is the caller's business; nothing is lost or added here.
    let bench = bench(|_| {});
    bench.sample("e", Duration::from_nanos(1_034_567_891), false);
    assert_eq!(bench.view("e").samples_ms, [1_034.567_891]);
}

#[test]
fn f016_the_window_holds_the_last_five() {
    let bench = bench(|rules| rules.score = Score::Mean);
    bench.took("e", 5, 9 * SECOND);
    bench.took("e", 4, 100);
    assert!((bench.view("e").avg_ms - 1880.0).abs() < 0.001);
    bench.took("e", 1, 100);
    assert_eq!(bench.view("e").samples_ms, [100.0; 5]);
    assert!((bench.view("e").avg_ms - 100.0).abs() < f64::EPSILON);
}

#[test]
fn f017_a_long_key_is_shown_as_long() {
    let bench = bench(|_| {});
    bench.took("e", 3, 6 * SECOND);
    let view = bench.view("e");
    assert!(view.long);
    assert_eq!(view.basis, "learned");
}

#[test]
fn f018_a_long_operation_becomes_short_again() {
    each_score(|score| {
        let bench = bench(|rules| rules.score = score);
        bench.took("e", 5, 6 * SECOND);
        assert!(bench.long("e"), "{score:?}");
        bench.took("e", 5, 10);
        assert!(!bench.long("e"), "{score:?}");
    });
    // The decayed mean remembers longer than the window, and so adapts later: that is its price.
    let bench = bench(|_| {});
    bench.took("e", 500, 20 * SECOND);
    let many = (1..200).find(|_| {
        bench.took("e", 1, 10);
        !bench.long("e")
    });
    assert!(many.is_some_and(|many| many < 100), "{many:?}");
}

#[test]
fn f018_between_exit_and_threshold_nothing_changes() {
    each_score(|score| {
        let bench = bench(|rules| rules.score = score);
        bench.took("was long", 5, 5 * SECOND);
        bench.took("was short", 5, 3 * SECOND);
        for key in ["was long", "was short"] {
            bench.took(key, 500, 4 * SECOND);
        }
        assert!(
            bench.long("was long") && !bench.long("was short"),
            "{score:?}"
        );
        bench.took("was long", 500, 3499);
        assert!(!bench.long("was long"), "{score:?}");
    });
}

#[test]
fn f019_a_request_that_runs_too_long_makes_an_unknown_operation_long() {
    let mut bench = bench(|_| {});
    let running = bench.learner.begin(&op("tool/invoke new"), bench.now);
    bench.wait(4999);
    assert_eq!(bench.verdict("tool/invoke new").basis, Basis::Prior);
    bench.wait(1);
    assert_eq!(bench.verdict("tool/invoke new").basis, Basis::Promoted);
    assert!(bench.long("tool/invoke new"));
    assert!(
        !bench.long("tool/invoke other"),
        "only its own key is promoted"
    );
    drop(running);
    assert!(
        bench.long("tool/invoke new"),
        "it stays until samples say otherwise"
    );
    bench.took("tool/invoke new", 2, 10);
    assert!(bench.long("tool/invoke new"), "two samples are not enough");
    bench.took("tool/invoke new", 1, 10);
    assert!(!bench.long("tool/invoke new"));
}

#[test]
fn f019_a_request_that_ended_in_time_promotes_nothing() {
    let mut bench = bench(|_| {});
    for _ in 0..3 {
        let running = bench.learner.begin(&op("e"), bench.now);
        bench.wait(4000);
        drop(running);
        bench.wait(4000);
        assert_eq!(bench.verdict("e").basis, Basis::Prior);
    }
    assert_eq!(bench.view("e").running, 0);
    let _unwatched = Running::unwatched();
}

#[test]
fn f019_one_outlier_does_not_promote_a_known_short_operation_but_a_majority_does() {
    let mut bench = bench(|rules| rules.score = Score::Median);
    bench.took("e", 9, 100);
    let mut running = vec![bench.learner.begin(&op("e"), bench.now)];
    bench.wait(60 * SECOND);
    assert!(!bench.long("e"), "D05: one outlier of ten");
    for _ in 0..2 {
        running.push(bench.learner.begin(&op("e"), bench.now));
    }
    bench.wait(5 * SECOND);
    assert_eq!(
        bench.verdict("e").basis,
        Basis::Promoted,
        "three of a window of five"
    );
    running.pop();
    assert!(!bench.long("e"), "and no longer than they run");
}

#[test]
fn f020_fewer_samples_than_min_samples_decide_nothing() {
    each_score(|score| {
        let bench = bench(|rules| rules.score = score);
        bench.took("elsewhere", 100, 10);
        bench.took("e", 2, 6 * SECOND);
        assert_eq!(bench.verdict("e").basis, Basis::Prior);
        assert!(!bench.long("e"));
        bench.took("e", 1, 6 * SECOND);
        assert!(bench.long("e"), "{score:?}");
    });
    let bench = bench(|rules| rules.min_samples = 1);
    bench.took("e", 1, 6 * SECOND);
    assert!(bench.long("e"), "seed 000: the mean of what is there");
}

#[test]
fn f020_the_finest_key_that_knows_enough_decides() {
    let bench = bench(|_| {});
    bench.took("tool/invoke plugin slow", 3, 60 * SECOND);
    bench.took("tool/invoke plugin fast", 2, 10);
    assert!(
        bench.long("tool/invoke plugin fast"),
        "two samples: the plugin decides"
    );
    assert!(
        bench.long("tool/invoke unheard of"),
        "nothing known: the operation decides"
    );
    bench.took("tool/invoke plugin fast", 1, 10);
    assert!(!bench.long("tool/invoke plugin fast"));
    let Basis::Learned { score, samples } = bench.verdict("tool/invoke plugin fast").basis else {
        panic!("it was learned");
    };
    assert_eq!((score, samples), (Duration::from_millis(10), 3));
    assert_eq!(bench.verdict("llm/invoke plugin").basis, Basis::Prior);
}

#[test]
fn f021_refusals_never_shorten() {
    each_score(|score| {
        let bench = bench(|rules| rules.score = score);
        bench.took("e", 5, 6 * SECOND);
        let before = bench.view("e");
        bench.broke_off("e", 20, 5);
        assert_eq!(bench.view("e"), before, "they leave no trace");
    });
}

#[test]
fn f021_a_failure_after_the_threshold_is_a_long_sample() {
    let bench = bench(|_| {});
    bench.broke_off("e", 3, 5 * SECOND);
    assert!(bench.long("e"));
    assert_eq!(bench.view("e").total, 3);
}

#[test]
fn f022_clients_that_leave_early_change_nothing() {
    let bench = bench(|_| {});
    bench.took("e", 5, 6 * SECOND);
    bench.broke_off("e", 10, 10);
    bench.broke_off("e", 10, 4999);
    assert!(bench.long("e"));
    assert_eq!(bench.view("e").total, 5);
    bench.broke_off("never seen", 20, 10);
    assert_eq!(bench.learner.len(), 1, "and make no keys (D08)");
}

fn pin(operation: &str, class: Option<Class>) -> Pin {
    Pin {
        operation: operation.to_owned(),
        class,
    }
}

#[test]
fn f023_a_pin_decides_before_everything_else() {
    let bench = bench(|rules| {
        rules.pins = vec![
            pin("tool/invoke|x|learned", None),
            pin("tool/invoke|x", Some(Class::Long)),
            pin("llm/*|*mini", Some(Class::Short)),
            pin("llm/*", Some(Class::Long)),
        ];
    });
    let pinned = |key| {
        let verdict = bench.verdict(key);
        (verdict.basis == Basis::Pinned).then_some(verdict.class)
    };
    bench.took("tool/invoke x", 20, 10);
    assert_eq!(
        pinned("tool/invoke x"),
        Some(Class::Long),
        "the first call already"
    );
    assert_eq!(
        pinned("tool/invoke x any tool"),
        Some(Class::Long),
        "a coarse pin holds for all"
    );
    assert_eq!(
        pinned("tool/invoke x learned"),
        None,
        "auto comes first and lets it learn"
    );
    assert_eq!(pinned("tool/invoke y"), None);
    assert_eq!(pinned("llm/invoke openai gpt-4o-mini"), Some(Class::Short));
    assert_eq!(pinned("llm/invoke openai gpt-4o"), Some(Class::Long));
    assert_eq!(bench.view("tool/invoke|x").basis, "pinned");
}

#[test]
fn f024_an_automatic_threshold_follows_the_work_within_bounds() {
    let bench = bench(|rules| rules.long_threshold = Threshold::Auto);
    let seconds = || bench.learner.threshold().as_secs_f64();
    bench.took("e", 255, 100);
    assert!((seconds() - 5.0).abs() < 1e-9, "5 s until enough was seen");
    bench.took("e", 1, 100);
    assert!((seconds() - 0.5).abs() < 1e-9, "never below 0.5 s");
    for _ in 0..2000 {
        bench.took("e", 9, 100);
        bench.took("f", 1, 12 * SECOND);
    }
    // 93 % of the work is in the long ones; so the threshold lies just below them.
    assert!((7.0..12.0).contains(&seconds()), "{}", seconds());
    assert!(bench.long("f") && !bench.long("e"));
    bench.took("g", 4096, 500 * SECOND);
    assert!((seconds() - 30.0).abs() < 1e-9, "never above 30 s");
    let rules = LearnRules::clone(&bench.learner.rules());
    bench.learner.set_rules(LearnRules {
        long_threshold: Threshold::Fixed(Duration::from_secs(900)),
        ..rules
    });
    assert!(!bench.long("g"), "a key is judged by the threshold of now");
}

#[test]
fn f025_a_key_is_shown_with_all_its_figures() {
    let mut bench = bench(|_| {});
    for ms in 1..=7 {
        bench.took("e", 1, ms * 100);
    }
    bench.wait(1500);
    let view = bench.view("e");
    assert_eq!((view.total, view.running, view.long), (7, 0, false));
    assert_eq!(view.samples_ms, [300.0, 400.0, 500.0, 600.0, 700.0]);
    let near = |found: f64, right: f64, by: f64| {
        assert!((found / right - 1.0).abs() < by, "{found} {right}");
    };
    near(view.avg_ms, 500.0, 1e-9);
    near(view.max_ms, 700.0, 1e-9);
    near(view.min_ms, 100.0, 1e-9);
    near(view.p50_ms, 400.0, 0.13);
    near(view.p95_ms, 700.0, 0.13);
    near(view.last_seen_s, 1.5, 1e-9);
    bench.took("busier", 1, 60 * SECOND);
    let keys: Vec<_> = bench
        .learner
        .view(1, bench.now)
        .into_iter()
        .map(|it| it.key)
        .collect();
    assert_eq!(keys, ["busier"], "sorted by work, cut to the limit");
    assert!(bench.learner.forget("e") && !bench.learner.forget("e"));
}

#[test]
fn f025_a_key_without_samples_shows_zeros() {
    let bench = bench(|_| {});
    let _running = bench.learner.begin(&op("e"), bench.now);
    let view = bench.view("e");
    assert_eq!((view.total, view.running, view.basis), (0, 1, "prior"));
    let sum = view.avg_ms + view.max_ms + view.min_ms + view.p50_ms + view.p95_ms;
    assert!(sum == 0.0);
}

#[test]
fn d05_one_outlier_of_ten_is_never_long_with_the_median() {
    for outlier in 0..10 {
        let bench = bench(|rules| {
            rules.score = Score::Median;
            rules.min_samples = 1;
        });
        for at in 0..40 {
            let is_outlier = at % 10 == outlier;
            // Only the very first sample of all has no majority against it.
            bench.took("e", 1, if is_outlier { 60 * SECOND } else { 100 });
            assert!(!bench.long("e") || (at == 0 && is_outlier), "sample {at}");
        }
    }
    let bench = bench(|rules| rules.score = Score::Mean);
    bench.took("e", 9, 100);
    bench.took("e", 1, 60 * SECOND);
    assert!(bench.long("e"), "seed 000's mean is carried away");
}

#[test]
fn d07_a_cold_operation_sends_few_requests_the_short_way() {
    let mut bench = bench(|rules| {
        rules.long_threshold = Threshold::Fixed(Duration::from_millis(200));
    });
    let mut running = Vec::new();
    let mut short = 0;
    for _ in 0..50 {
        short += u32::from(!bench.long("e"));
        running.push(bench.learner.begin(&op("e"), bench.now));
        bench.wait(100);
    }
    assert!(short <= 4, "{short} requests before it was known");
}

#[test]
fn what_is_usual_is_known_of_the_finest_key_and_by_requests_that_ran_to_their_end() {
    let bench = bench(|_| {});
    bench.took("tool/invoke a", 4, SECOND);
    let usual = |key: &str| bench.learner.expected(&op(key));
    assert_eq!(usual("tool/invoke a"), None, "four prove nothing");
    bench.took("tool/invoke a", 1, SECOND);
    bench.broke_off("tool/invoke a", 20, 60 * SECOND);
    bench.took("tool/invoke b", 50, 100 * SECOND);
    let one = usual("tool/invoke a").expect("five samples");
    assert!(one.abs() < 1e-9, "{one}");
    assert_eq!(usual("tool/invoke c"), None, "others say nothing of it");

    let young = Learner::new(LearnRules::default());
    young.recall(&bench.learner.remember(), bench.now).unwrap();
    let again = young.expected(&op("tool/invoke b")).expect("remembered");
    assert!((again - 100f64.ln()).abs() < 1e-6, "{again}");
}
