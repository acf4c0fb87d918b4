//! How is a running gateway? Asked once, and told for people or for programs.

use super::figures::{check, count, duration, light, rows, took, verdict, word};
use super::operate::door;
use super::typed::{From, Status, Style};
use super::{on_runtime, out};
use crate::server::Builder;
use http::Method;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

pub(super) fn status(from: &From, builder: &Builder, what: &Status) -> ExitCode {
    let door = match door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    let asked = on_runtime(async { Ok(door.ask(Method::GET, "/api/v1/overview", "").await) });
    match asked {
        Ok(Ok(overview)) => {
            match what.output {
                Style::Json => out(&format!("{overview:#}\n")),
                Style::Text => out(&told(&overview)),
            }
            ExitCode::SUCCESS
        }
        Ok(Err(code)) => code,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn told(overview: &Value) -> String {
    let mut text = String::new();
    tell(overview, &mut text).expect("writing into memory cannot fail");
    text
}

fn tell(overview: &Value, to: &mut String) -> std::fmt::Result {
    let (gateway, now) = (&overview["gateway"], &overview["now"]);
    let up = Value::from(count(&gateway["uptime_seconds"]) * 1000);
    writeln!(
        to,
        "{} {}: {}; up for {}, configuration {} ({})",
        word(&gateway["gateway"]),
        word(&gateway["version"]),
        verdict(overview).1,
        duration(&up),
        word(&gateway["config"]),
        word(&gateway["config_version"])
    )?;
    for lane in ["short", "long"] {
        let told = &now[lane];
        writeln!(
            to,
            "{lane}: {} in flight, {} ended, p50 / p99 {}",
            count(&told["in_flight"]),
            count(&told["ended"]),
            took(told)
        )?;
    }
    writeln!(
        to,
        "waiting {}, failed {}, operations {} (long from {})",
        count(&now["waiting"]),
        count(&now["failed"]),
        count(&gateway["operations"]),
        duration(&gateway["long_threshold_ms"])
    )?;
    nodes(overview, to)?;
    others(overview, to)
}

const HEADER: [&str; 8] = [
    "node",
    "state",
    "short",
    "long",
    "p50 / p99 short",
    "p50 / p99 long",
    "errors",
    "check",
];

fn nodes(overview: &Value, to: &mut String) -> std::fmt::Result {
    let mut table = vec![HEADER.map(str::to_owned)];
    for node in rows(&overview["nodes"]) {
        table.push([
            word(&node["id"]),
            light(node).to_owned(),
            word(&node["in_flight"]["short"]),
            word(&node["in_flight"]["long"]),
            took(&node["took"]["short"]),
            took(&node["took"]["long"]),
            word(&node["failed_5m"]),
            check(node),
        ]);
    }
    write_table(&table, to)
}

fn others(overview: &Value, to: &mut String) -> std::fmt::Result {
    let gateways = rows(&overview["fleet"]["gateways"]).iter();
    for other in gateways.filter(|other| other["self"] != true) {
        let drift = if other["config_drift"] == true {
            ", another configuration"
        } else {
            ""
        };
        writeln!(
            to,
            "gateway {} at {}: {} in flight{drift}",
            word(&other["id"]),
            word(&other["address"]),
            count(&other["in_flight"])
        )?;
    }
    Ok(())
}

pub(super) fn write_table<const N: usize>(
    table: &[[String; N]],
    to: &mut String,
) -> std::fmt::Result {
    let width = |column: usize| {
        let cells = table.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    for row in table {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            write!(line, "{cell:<width$}  ", width = width(column))?;
        }
        writeln!(to, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn f079_a_status_names_every_node_and_what_is_wrong() {
        let lane = |n: u32| json!({"in_flight": n, "ended": 41, "p50_ms": 144, "p99_ms": 4600});
        let none = json!({"count": 0, "p50_ms": null, "p99_ms": null});
        let node = |id: &str, light: &str, wrong: Value| {
            json!({"id": id, "light": light, "in_flight": {"short": 1, "long": 0}, "failed_5m": 0,
                   "took": {"short": lane(1), "long": none},
                   "check": {"ago_s": 1.2, "took_ms": 0.6, "wrong": wrong}})
        };
        let overview = json!({
            "gateway": {"gateway": "twolane-1", "version": "0.1.0", "uptime_seconds": 300, "ready": true,
                        "draining": false, "config": "ab", "config_version": 1, "operations": 9, "long_threshold_ms": 5000},
            "now": {"short": lane(2), "long": lane(0), "waiting": 0, "failed": 3},
            "nodes": [node("n1", "up", Value::Null), node("node-2", "down", json!("refused"))],
            "fleet": {"gateways": [{"self": true}, {"id": "twolane-2", "address": "10.0.0.2:5002", "in_flight": 4, "config_drift": true}]},
        });
        assert_eq!(
            told(&overview),
            "twolane-1 0.1.0: 1 of 2 nodes do not serve; up for 5 min, configuration ab (1)\n\
             short: 2 in flight, 41 ended, p50 / p99 144 ms / 4.6 s\n\
             long: 0 in flight, 41 ended, p50 / p99 144 ms / 4.6 s\n\
             waiting 0, failed 3, operations 9 (long from 5.0 s)\n\
             node    state  short  long  p50 / p99 short  p50 / p99 long  errors  check\n\
             n1      up     1      0     144 ms / 4.6 s   -               0       0.6 ms, 1 s ago\n\
             node-2  down   1      0     144 ms / 4.6 s   -               0       refused\n\
             gateway twolane-2 at 10.0.0.2:5002: 4 in flight, another configuration\n"
        );
    }
}
