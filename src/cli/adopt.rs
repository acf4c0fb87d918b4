//! How is the gateway put in front of a Dify, and what is wrong with one?

use super::out;
use super::serve;
use super::typed::{Doctor, From, Init};
use crate::adopt::{
    Complaint, Dify, MARK, Manifests, Plan, Trouble, Weight, Wish, examine, gateway_yaml,
    override_yaml,
};
use crate::config;
use crate::server::Builder;
use similar::TextDiff;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// Writes the two files, and says what changes in each.
pub(super) fn init(what: &Init) -> ExitCode {
    match write(what) {
        Ok(told) => {
            out(&told);
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            eprintln!("twolane: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn write(what: &Init) -> Result<String, Trouble> {
    let dify = Dify::read(&what.path)?;
    let plan = Plan::new(
        &dify,
        &Wish {
            replicas: what.replicas,
            image: what.image.clone(),
        },
    );
    let files = [
        (dify.override_file.clone(), override_yaml(&plan)),
        (dify.folder.join("twolane.yaml"), gateway_yaml(&plan)),
    ];
    let mut told = String::new();
    // All are looked at before one is written.
    for (file, text) in &files {
        let old = existing(file)?;
        told.push_str(&difference(file, &old, text));
    }
    if !what.dry_run {
        for (file, text) in &files {
            std::fs::write(file, text).map_err(|error| Trouble {
                place: file.clone(),
                what: error.to_string(),
                cure: "run it as somebody who may write there, or with --dry-run",
            })?;
        }
    }
    for note in &plan.notes {
        let _ = writeln!(told, "note: {note}");
    }
    told.push_str(&next(&dify, what.dry_run));
    Ok(told)
}

/// What stands in a file of ours; somebody else's is not touched.
fn existing(file: &Path) -> Result<String, Trouble> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.starts_with(MARK) => Ok(text),
        Ok(_) => Err(Trouble {
            place: file.to_owned(),
            what: "it is there and not of our making; nothing was written".to_owned(),
            cure: "move it away, run this again, and put what you need of it into the new file",
        }),
        Err(_not_there) => Ok(String::new()),
    }
}

fn difference(file: &Path, old: &str, new: &str) -> String {
    let name = file.display().to_string();
    if old == new {
        return format!("{name}: as it is\n");
    }
    let from = if old.is_empty() { "/dev/null" } else { &name };
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().header(from, &name).to_string()
}

fn next(dify: &Dify, dry: bool) -> String {
    let folder = dify.folder.display();
    if dry {
        return "nothing was written (--dry-run)\n".to_owned();
    }
    format!(
        "next: cd {folder} && docker compose up -d\n\
         then: docker compose exec twolane twolane doctor\n\
         back: remove {} and say docker compose up -d --remove-orphans\n",
        dify.override_file.display()
    )
}

/// Names every mistake that it finds; an error among them is exit code 1.
pub(super) fn doctor(from: &From, builder: &Builder, what: &Doctor) -> ExitCode {
    let dify = what.dify.as_deref().map(Dify::read).transpose();
    let manifests = what.manifests.as_deref().map(Manifests::read).transpose();
    let (dify, manifests) = match (dify, manifests) {
        (Ok(dify), Ok(manifests)) => (dify, manifests),
        (Err(trouble), _) | (_, Err(trouble)) => {
            eprintln!("twolane: {trouble}");
            return ExitCode::FAILURE;
        }
    };
    let config = match configuration(from, builder, dify.as_ref()) {
        Ok(config) => config,
        Err(problems) => return serve::refuse(&problems),
    };
    let found = examine(config.as_ref(), dify.as_ref(), manifests.as_ref());
    out(&told(&found));
    if found.iter().any(|one| one.weight == Weight::Error) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The configuration that is meant: the one that was named, or the one that `init` wrote, or the one
/// that would be found. None at all is no mistake when a Dify is looked at.
fn configuration(
    from: &From,
    builder: &Builder,
    dify: Option<&Dify>,
) -> Result<Option<config::Config>, String> {
    let mut from = from.clone();
    if let (None, Some(dify)) = (&from.config, dify) {
        from.config = Some(dify.folder.join("twolane.yaml")).filter(|file| file.is_file());
        if from.config.is_none() {
            return Ok(None);
        }
    }
    serve::load(&from, builder).map(|(loaded, _)| Some(loaded.config))
}

fn told(found: &[Complaint]) -> String {
    let mut text = String::new();
    for one in found {
        let weight = match one.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        let _ = writeln!(
            text,
            "{weight}[{}]: {}\n  = help: {}",
            one.word, one.what, one.cure
        );
    }
    let errors = found.iter().filter(|one| one.weight == Weight::Error);
    let errors = errors.count();
    let _ = writeln!(
        text,
        "{errors} errors, {} warnings",
        found.len().saturating_sub(errors)
    );
    text
}
