//! What is promised, and was it kept? Lines for the table at the end of `make bench`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Notes one figure and what is owed of it.
pub(crate) fn note(bench: &str, what: &str, measured: &str, owed: &str, kept: bool) {
    let kept = if kept { "kept" } else { "MISSED" };
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("owed.tsv");
    let file = OpenOptions::new().append(true).create(true).open(file);
    let line = format!("{bench}\t{what}\t{measured}\t{owed}\t{kept}\n");
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("the target folder can be written to");
}

/// A figure that may be at most so much.
pub(crate) fn at_most(bench: &str, what: &str, measured: f64, owed: f64, unit: &str) {
    let decimals = if owed < 10.0 { 2 } else { 0 };
    let text = |value: f64| format!("{value:.decimals$}{unit}");
    note(
        bench,
        what,
        &text(measured),
        &format!("<= {}", text(owed)),
        measured <= owed,
    );
}
