//! How does the score look?

use super::board::{Now, Summary};
use std::fmt::Write;
use std::time::Duration;

/// One line a second: short calls, lane by lane.
pub(super) fn line(elapsed: Duration, lanes: &[Now]) -> String {
    let lanes: Vec<_> = lanes
        .iter()
        .map(|now| {
            let trouble = match (now.lost, now.failures) {
                (0, 0) => String::new(),
                (lost, 0) => format!("  lost {lost}"),
                (lost, failed) => format!("  lost {lost} failed {failed}"),
            };
            format!(
                "{} p50 {:>4.2} p99 {:>5.2} >1s {:>4.1}% running {:>2}{trouble}",
                now.strategy,
                now.p50,
                now.p99,
                100.0 * now.slow,
                now.running
            )
        })
        .collect();
    format!("{:>3} s  {}", elapsed.as_secs(), lanes.join("  |  "))
}

/// The final tables.
pub(super) fn all(lanes: &[Summary]) -> String {
    let mut out = score(lanes);
    if let Some(ours) = lanes.first() {
        learned(ours, &mut out);
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

fn score(lanes: &[Summary]) -> String {
    let mut out = String::from(
        "\nlane            class  calls     p50      p95      p99      max    >1s  where they went\n",
    );
    for lane in lanes {
        for row in &lane.classes {
            let went: Vec<_> = row
                .went
                .iter()
                .map(|(node, count)| format!("{node} {count}"))
                .collect();
            let slow = match row.class {
                "short" => format!("{:.1}%", 100.0 * lane.short_over_1s),
                _ => "-".to_owned(),
            };
            let _ = writeln!(
                out,
                "{:<15} {:<5} {:>6} {:>6.2}s {:>7.2}s {:>7.2}s {:>7.2}s {slow:>6}  {}",
                lane.strategy,
                row.class,
                row.count,
                row.p50_s,
                row.p95_s,
                row.p99_s,
                row.max_s,
                went.join(", "),
            );
        }
    }
    let each = |figure: &dyn Fn(&Summary) -> String| {
        let lanes = lanes.iter();
        let told: Vec<_> = lanes
            .map(|lane| format!("{} {}", lane.strategy, figure(lane)))
            .collect();
        told.join(", ")
    };
    let early = each(&|lane| format!("{:.2}s", lane.short_p99_before_burst_s));
    let lost = each(&|lane| lane.lost_with_a_node.to_string());
    let _ = writeln!(out, "short p99 until the burst: {early}");
    let _ = writeln!(
        out,
        "calls that ran on node-2 when it was killed, and are lost: {lost}"
    );
    out
}

fn learned(ours: &Summary, out: &mut String) {
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
