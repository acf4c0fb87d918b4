//! How does a demo fill a terminal? `frame` draws what is seen; here keys are read.

mod frame;

use super::out;
use crate::demo::{Audience, Scene, Wanted};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::time::Duration;

/// A frame four times a second.
const EVERY: Duration = Duration::from_millis(250);

/// A whole screen. What is said after the last frame goes below it, where it stays.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Option<DefaultTerminal>,
}

impl Screen {
    pub(super) const fn new() -> Self {
        Self { terminal: None }
    }

    fn leave(&mut self) {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Audience for Screen {
    fn every(&self) -> Duration {
        EVERY
    }

    fn hear(&mut self, line: &str) {
        // On the way the frame shows the news; what is long is the end.
        if line.lines().count() > 1 {
            self.leave();
            out(&format!("{line}\n"));
        }
    }

    fn see(&mut self, scene: &Scene) -> io::Result<Option<Wanted>> {
        if self.terminal.is_none() {
            self.terminal = Some(ratatui::try_init()?);
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.draw(|frame| frame::draw(frame.area(), frame.buffer_mut(), scene))?;
        }
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && let Some(wanted) = wanted(key)
            {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }
}

fn wanted(key: KeyEvent) -> Option<Wanted> {
    if key.kind != KeyEventKind::Press {
        return None;
    }
    match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
        (KeyCode::Char('c'), true) | (KeyCode::Char('q') | KeyCode::Esc, _) => Some(Wanted::End),
        (KeyCode::Char('b'), _) => Some(Wanted::Burst),
        (KeyCode::Char('k'), _) => Some(Wanted::Kill),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_means_one_thing() {
        let press = |code, modifiers| wanted(KeyEvent::new(code, modifiers));
        let plain = |code| press(KeyCode::Char(code), KeyModifiers::NONE);
        assert_eq!(plain('b'), Some(Wanted::Burst));
        assert_eq!(plain('k'), Some(Wanted::Kill));
        assert_eq!(plain('q'), Some(Wanted::End));
        assert_eq!(plain('c'), None);
        let control_c = press(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(control_c, Some(Wanted::End));
    }
}
