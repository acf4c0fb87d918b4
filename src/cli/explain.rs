//! What would the running gateway do with this request? Asked, and told for people.

use super::operate;
use super::typed::{Explain, From};
use super::{on_runtime, out};
use crate::server::Builder;
use http::Method;
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// The gateway looks no further into a body, and what stands behind is nobody's business.
const HEAD: u64 = 4096;

pub(super) fn explain(from: &From, builder: &Builder, what: &Explain) -> ExitCode {
    let door = match operate::door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    let question = match question(what) {
        Ok(question) => question,
        Err(problem) => {
            eprintln!("twolane: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let done = on_runtime(async {
        let path = "/api/v1/explain";
        Ok(door.ask(Method::POST, path, &question.to_string()).await)
    });
    match done {
        Ok(Ok(answer)) if what.json => {
            out(&format!("{answer:#}\n"));
            ExitCode::SUCCESS
        }
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

fn question(what: &Explain) -> Result<Value, String> {
    let mut headers = Vec::new();
    for header in &what.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| format!("{header:?} is no header; write -H 'X-Plugin-ID: a/b'"))?;
        headers.push([name.trim(), value.trim()]);
    }
    let mut question = json!({ "method": what.method, "path": what.path, "headers": headers });
    if let Some(file) = &what.body {
        let (head, length) = head(file).map_err(|error| format!("{}: {error}", file.display()))?;
        question["body"] = head.into();
        question["body_length"] = length.into();
    }
    Ok(question)
}

fn head(file: &Path) -> std::io::Result<(String, u64)> {
    let open = std::fs::File::open(file)?;
    let length = open.metadata()?.len();
    let mut head = Vec::new();
    open.take(HEAD).read_to_end(&mut head)?;
    Ok((String::from_utf8_lossy(&head).into_owned(), length))
}

fn told(answer: &Value) -> String {
    let mut text = String::new();
    tell(answer, &mut text).expect("writing into memory cannot fail");
    text
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn tell(answer: &Value, to: &mut String) -> std::fmt::Result {
    let request = &answer["request"];
    let says = |key: &str| word(&request[key]);
    writeln!(to, "{} {}", says("method"), says("path"))?;
    if let Some(refused) = answer["refused"].as_str() {
        return writeln!(to, "refused: {refused}");
    }
    writeln!(
        to,
        "  kind {}, operation {}, plugin {}, tenant {}",
        says("kind"),
        says("operation"),
        says("plugin"),
        says("tenant")
    )?;
    let class = &answer["class"];
    write!(
        to,
        "  {} because {}",
        word(&class["class"]),
        word(&class["basis"])
    )?;
    if class["score_ms"].is_number() {
        write!(
            to,
            ": score {} ms of {} samples",
            word(&class["score_ms"]),
            word(&class["samples"])
        )?;
    }
    writeln!(to, ", threshold {} ms", word(&class["threshold_ms"]))?;
    for level in class["keys"].as_array().into_iter().flatten() {
        writeln!(
            to,
            "    {}: {} samples, score {} ms, {} running, says {}",
            word(&level["key"]),
            word(&level["samples"]),
            word(&level["score_ms"]),
            word(&level["running"]),
            word(&level["says"])
        )?;
    }
    write!(
        to,
        "  pool {}, strategy {}, rule {}",
        word(&answer["pool"]),
        word(&answer["strategy"]),
        word(&answer["rule"])
    )?;
    let limit = &answer["limit"];
    if limit.is_object() {
        let (taken, here) = (word(&limit["in_flight"]), word(&limit["here"]));
        write!(to, ": {taken} of its {here} places here are taken")?;
    }
    writeln!(to)?;
    nodes(answer, to)?;
    choices(answer, to)
}

fn nodes(answer: &Value, to: &mut String) -> std::fmt::Result {
    for node in answer["nodes"].as_array().into_iter().flatten() {
        let flight = &node["in_flight"];
        write!(
            to,
            "    {}: {} short, {} long, {} same plugin, {} beyond; plugin {}",
            word(&node["node"]),
            word(&flight["short"]),
            word(&flight["long"]),
            word(&flight["same_plugin"]),
            word(&flight["beyond"]),
            word(&node["presence"])
        )?;
        if node["score"].is_number() {
            write!(to, "; score {}", word(&node["score"]))?;
        }
        if let Some(against) = node["against"].as_str() {
            write!(to, "; no: {against}")?;
        }
        writeln!(to)?;
    }
    Ok(())
}

fn choices(answer: &Value, to: &mut String) -> std::fmt::Result {
    for (key, lead) in [
        ("choice", "goes to"),
        ("least_in_flight", "least_in_flight would choose"),
        ("shadow", "the shadow would choose"),
    ] {
        let choice = &answer[key];
        if let Some(node) = choice["node"].as_str() {
            write!(to, "  {lead} {node} ({})", word(&choice["why"]))?;
            let equals: Vec<_> = choice["equals"].as_array().into_iter().flatten().collect();
            if !equals.is_empty() {
                let names: Vec<_> = equals.into_iter().map(word).collect();
                write!(to, ", by chance among {}", names.join(", "))?;
            }
            writeln!(to)?;
        }
    }
    if let Some(nobody) = answer["nobody"].as_str() {
        writeln!(to, "  nobody may serve it: {nobody}")?;
    }
    if let Some(advice) = answer["advice"].as_str() {
        writeln!(to, "  {advice}")?;
    }
    for note in answer["notes"].as_array().into_iter().flatten() {
        writeln!(to, "  note: {}", word(note))?;
    }
    Ok(())
}
