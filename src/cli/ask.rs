//! Is the running gateway well, and may it have its configuration again?

use super::operate::{self, Door};
use super::typed::{Admin, From, Health};
use super::{on_runtime, out};
use crate::server::Builder;
use http::Method;
use serde_json::Value;
use std::process::ExitCode;

/// For Docker's HEALTHCHECK: exit code 0 or 1 and nothing else.
pub(super) fn health(from: &From, builder: &Builder, what: &Health) -> ExitCode {
    let Ok(door) = operate::door(from, builder, what.admin) else {
        return ExitCode::FAILURE;
    };
    let path = if what.ready { "/readyz" } else { "/livez" };
    let status = on_runtime(async { Ok(door.status(path).await) });
    match status {
        Ok(Ok(200)) => ExitCode::SUCCESS,
        Ok(Ok(status)) => {
            eprintln!("twolane: {path} says {status}");
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Has the file read again, and says what changed.
pub(super) fn reload(from: &From, builder: &Builder, what: &Admin) -> ExitCode {
    let door = match operate::door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    match on_runtime(async { Ok(ask(&door).await) }) {
        Ok(Ok(answer)) => {
            out(&told(&answer));
            ExitCode::SUCCESS
        }
        Ok(Err(code)) => code,
        Err(error) => {
            eprintln!("twolane: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(door: &Door) -> Result<Value, ExitCode> {
    door.ask(Method::POST, "/-/reload", "").await
}

fn told(answer: &Value) -> String {
    let changes = answer["changes"].as_array();
    let lines: Vec<_> = changes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if lines.is_empty() {
        return "reloaded; nothing changed\n".to_owned();
    }
    format!("reloaded\n  {}\n", lines.join("\n  "))
}
