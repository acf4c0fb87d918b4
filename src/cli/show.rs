//! How are the demo and a stand-in daemon run?

use super::typed::Node;
use super::{on_runtime, out};
use crate::demo;
use crate::demo::daemon::{Plugin, Settings};
use crate::model::EventFormat;
use std::process::ExitCode;

pub(super) fn watch(wish: demo::Wish) -> ExitCode {
    crate::observe::init_log("error", EventFormat::Text);
    let quiet = wish.json;
    let report = on_runtime(demo::run(wish, |line| {
        if !quiet {
            out(&format!("{line}\n"));
        }
    }));
    match report {
        Ok(report) => {
            if quiet {
                out(&format!(
                    "{}\n",
                    serde_json::to_string_pretty(&report).unwrap_or_default()
                ));
            }
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("twolane: the demo could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(super) fn stand_in(node: Node) -> ExitCode {
    crate::observe::init_log("info", EventFormat::Text);
    let listen = node.listen;
    let plugins = node.plugins.iter().map(|id| Plugin::running(id));
    let blocking = node.blocking.iter().map(|id| Plugin::blocking(id));
    let settings = Settings {
        id: node.id,
        listen,
        api_key: node.api_key,
        accept_all_plugins: node.plugins.is_empty(),
        plugins: plugins.chain(blocking).collect(),
        ..Settings::default()
    };
    match on_runtime(demo::daemon::run_by_hand(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twolane: the stand-in cannot run on {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}
