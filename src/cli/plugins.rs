//! Do the expected plugins run everywhere?

use super::figures::{duration, rows, word};
use super::operate::{Door, door};
use super::status::write_table;
use super::typed::{From, Plugins, Style};
use super::{on_runtime, out};
use crate::server::Builder;
use http::Method;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// How often is looked while waiting.
const LOOK: Duration = Duration::from_millis(500);

/// Prints the roll; 0 when everything expected runs, 1 when something does not or nobody can tell.
pub(super) fn plugins(from: &From, builder: &Builder, what: &Plugins) -> ExitCode {
    let door = match door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    match on_runtime(async { Ok(carry_out(&door, what).await) }) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(code)) => code,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything runs, once it was told.
async fn carry_out(door: &Door, what: &Plugins) -> Result<bool, ExitCode> {
    loop {
        let roll = door.ask(Method::GET, "/api/v1/plugins", "").await?;
        let complete = roll["missing"] == 0 && roll["unknown"] == 0;
        if complete || !what.wait {
            match what.output {
                Style::Json => out(&format!("{roll:#}\n")),
                Style::Text => out(&told(&roll)),
            }
            return Ok(complete);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn told(roll: &Value) -> String {
    let pools = rows(&roll["pools"]);
    if pools.is_empty() {
        return "no pool expects plugins (key `expects`)\n".to_owned();
    }
    let mut table = vec![["node", "plugin", "state", "for"].map(str::to_owned)];
    for row in pools.iter().flat_map(|pool| rows(&pool["plugins"])) {
        let since = row["for_s"]
            .as_f64()
            .map_or(Value::Null, |s| (s * 1e3).into());
        table.push([
            word(&row["node"]),
            word(&row["plugin"]),
            word(&row["state"]),
            duration(&since),
        ]);
    }
    let mut text = String::new();
    write_table(&table, &mut text).expect("writing into memory cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_roll_is_a_table_and_says_where_there_is_none() {
        let row = json!({ "node": "n1", "plugin": "a/b", "state": "absent", "for_s": 12.0 });
        let told_of = told(&json!({ "pools": [{ "plugins": [row] }] }));
        let line = told_of.lines().nth(1).expect("a row");
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(cells, ["n1", "a/b", "absent", "12", "s"]);
        assert!(told(&json!({ "pools": [] })).contains("expects"));
    }
}
