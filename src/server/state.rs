//! How does what was learned survive the process?

use crate::learn::{Learner, Memory};
use crate::model::clock;
use crate::upstream::Live;
use parking_lot::Mutex;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Reads the state file into the learner. A missing file is a first start; a broken one is named
/// and left alone, because a gateway that knows nothing yet is better than none.
pub(super) fn recall(file: &Path, learner: &Learner) {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            log::warn!("state file not read file={} error={error}", file.display());
            return;
        }
    };
    let recalled =
        Memory::from_json(&text).and_then(|memory| learner.recall(&memory, clock::now()));
    match recalled {
        Ok(keys) => log::info!("recalled operations={keys} file={}", file.display()),
        Err(error) => log::warn!(
            "state file not understood, learning starts anew file={} error={error}",
            file.display()
        ),
    }
}

/// The last save of a process may meet the periodic one, and both write beside the same file.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A disk that takes longer for the last lines of the access log does not hold up the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Writes what would end with the process: the state file, where there is one, and what waits for
/// the access log.
pub(super) fn save_all(live: &Live) {
    let snapshot = live.snapshot();
    if let Some(file) = &snapshot.config.state.file {
        save(file, &live.learner);
    }
    if let Some(sink) = &snapshot.access {
        sink.flush(LAST_LINES);
    }
}

/// Writes the state file: first beside it, then renamed over it, so that a crash leaves the old
/// one or the new one, never half of one.
pub(super) fn save(file: &Path, learner: &Learner) {
    if let Err(error) = try_save(file, learner) {
        log::warn!(
            "state file not written file={} error={error}",
            file.display()
        );
    }
}

fn try_save(file: &Path, learner: &Learner) -> io::Result<()> {
    let _turn = ONE_AT_A_TIME.lock();
    let text = learner.remember().to_json();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let mut new = std::fs::File::create(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    std::fs::rename(&beside, file)
}
