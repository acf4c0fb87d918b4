//! How does a terminal show a running gateway, second by second?
//!
//! `frame` draws what was `seen`; here it is asked for, and keys are read.

mod frame;
mod seen;

use super::operate::{Door, door};
use super::typed::{Admin, From};
use super::{on_runtime, out};
use crate::server::Builder;
use http::Method;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use seen::{Seen, Step};
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// A terminal does not show more.
const OPERATIONS: &str = "/api/v1/operations?limit=60";
const DECISIONS: &str = "/api/v1/decisions?limit=40";

pub(super) fn top(from: &From, builder: &Builder, what: &Admin) -> ExitCode {
    let door = match door(from, builder, what.admin) {
        Ok(door) => door,
        Err(code) => return code,
    };
    if !std::io::stdout().is_terminal() {
        eprintln!("twolane: top needs a terminal; `twolane status` writes once, also as JSON");
        return ExitCode::FAILURE;
    }
    let done = on_runtime(async {
        // Who does not answer at all is told as of every other command, before the screen is taken.
        let first = match look(&door, Seen::default()).await {
            Ok(seen) => seen,
            Err(code) => return Ok(code),
        };
        let mut terminal = ratatui::try_init()?;
        let watched = watch(&mut terminal, &door, first).await;
        ratatui::try_restore()?;
        watched
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            out(&format!("twolane: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    door: &Door,
    mut seen: Seen,
) -> std::io::Result<ExitCode> {
    loop {
        terminal.draw(|frame| frame::draw(frame.area(), frame.buffer_mut(), &seen))?;
        let key = tokio::task::spawn_blocking(next_key).await;
        let key = key.map_err(std::io::Error::other)??;
        let mut refused = None;
        match key.map_or(Step::Look, |key| seen.press(key)) {
            Step::Leave => return Ok(ExitCode::SUCCESS),
            Step::Draw => continue,
            Step::Look => {}
            Step::Set(node, hand) => {
                let path = format!("/api/v1/nodes/{node}/state");
                let wish = json!({ "state": hand }).to_string();
                let set = door.ask_quietly(Method::PUT, &path, &wish).await;
                refused = set.err();
            }
        }
        match look_quietly(door, seen.clone()).await {
            Ok(fresh) => {
                seen = fresh;
                seen.said = refused;
            }
            // What was seen last stays, and it is said that it is old.
            Err(error) => seen.said = Some(error),
        }
    }
}

/// The next key; none when a second has passed without one.
fn next_key() -> std::io::Result<Option<KeyCode>> {
    if !event::poll(EVERY)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let ends =
                key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
            Some(if ends { KeyCode::Char('q') } else { key.code })
        }
        Event::Resize(..) => Some(KeyCode::Null),
        _ => None,
    })
}

async fn look(door: &Door, seen: Seen) -> Result<Seen, ExitCode> {
    let overview = door.ask(Method::GET, "/api/v1/overview", "").await?;
    let operations = door.ask(Method::GET, OPERATIONS, "").await?;
    let decisions = door.ask(Method::GET, DECISIONS, "").await?;
    Ok(seen.after(overview, operations, decisions))
}

async fn look_quietly(door: &Door, seen: Seen) -> Result<Seen, String> {
    let overview = door
        .ask_quietly(Method::GET, "/api/v1/overview", "")
        .await?;
    let operations = door.ask_quietly(Method::GET, OPERATIONS, "").await?;
    let decisions = door.ask_quietly(Method::GET, DECISIONS, "").await?;
    Ok(seen.after(overview, operations, decisions))
}
