//! How are the demo and a stand-in daemon run?

use super::typed::{Demo, Node};
use super::{on_runtime, out};
use crate::demo::daemon::{Plugin, Settings};
use crate::demo::{self, Audience, Scene, Wanted, Wish};
use crate::model::EventFormat;
use std::io;
#[cfg(feature = "tui")]
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// A line a second.
struct Lines;

impl Audience for Lines {
    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn hear(&mut self, line: &str) {
        out(&format!("{line}\n"));
    }

    fn see(&mut self, scene: &Scene) -> io::Result<Option<Wanted>> {
        out(&format!("{}\n", scene.line()));
        Ok(None)
    }
}

/// Nobody watches: only the end counts.
struct Nobody;

impl Audience for Nobody {
    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn hear(&mut self, _line: &str) {}

    fn see(&mut self, _scene: &Scene) -> io::Result<Option<Wanted>> {
        Ok(None)
    }
}

pub(super) fn watch(what: &Demo) -> ExitCode {
    crate::observe::init_log("error", EventFormat::Text);
    let wish = Wish {
        seed: what.seed,
        seconds: what.seconds,
    };
    let report = on_runtime(async {
        if what.json {
            return demo::run(wish, &mut Nobody).await;
        }
        #[cfg(feature = "tui")]
        if !what.plain && io::stdout().is_terminal() && io::stdin().is_terminal() {
            return demo::run(wish, &mut super::watch::Screen::new()).await;
        }
        demo::run(wish, &mut Lines).await
    });
    let kept = report.and_then(|report| {
        let summary = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
        if let Some(file) = &what.save {
            std::fs::write(file, format!("{summary}\n")).map_err(|error| {
                io::Error::other(format!("{} cannot be written: {error}", file.display()))
            })?;
        }
        if what.json {
            out(&format!("{summary}\n"));
        }
        Ok(report.is_flawless())
    });
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
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
