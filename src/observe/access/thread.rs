//! How do records become lines, and lines reach the disk? In batches, by a thread that may stand still.

use super::kept::Kept;
use super::queue::Queue;
use super::{AccessMetrics, Place, line};
use crate::model::clock;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem::take;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While trouble lasts it is told once in so long.
const REMIND: Duration = Duration::from_secs(60);
/// Lines are written as soon as they are so long together. Some hundred of them: what was made is still in
/// the processor's cache when the kernel copies it.
const PIECE: usize = 64 * 1024;
/// Whoever may read the group's logs may read these; they tell who asked for what.
const MODE: u32 = 0o640;

/// The writing end.
pub(super) struct Carrier {
    place: Place,
    file: File,
    /// The last line that was begun was not ended.
    torn: bool,
    told: Option<Instant>,
    queue: Arc<Queue>,
    count: AccessMetrics,
}

impl Carrier {
    pub(super) fn open(place: Place, queue: Arc<Queue>, count: AccessMetrics) -> io::Result<Self> {
        Ok(Self {
            file: open(&place)?,
            place,
            torn: false,
            told: None,
            queue,
            count,
        })
    }

    /// Until nothing more will come.
    pub(super) fn run(mut self) {
        let (mut records, mut text) = (Kept::default(), Vec::new());
        while let Some(reopen) = self.queue.take(&mut records) {
            if reopen {
                self.reopen();
            }
            self.carry(&records, &mut text);
            self.queue.note_done(records.len() as u64);
        }
    }

    /// Makes lines in the buffer and writes them.
    fn carry(&mut self, records: &Kept, text: &mut Vec<u8>) {
        let mut lines = 0;
        records.each(|format, record, marks| {
            line::write(format, record, marks, text);
            lines += 1;
            if text.len() >= PIECE {
                self.put_down(text, take(&mut lines));
                text.clear();
            }
        });
        self.put_down(text, lines);
        text.clear();
    }

    fn put_down(&mut self, text: &[u8], lines: u64) {
        let failed = match self.write(text) {
            Ok(()) => 0,
            Err((rest, error)) => {
                self.tell(&error);
                // One that was begun and not ended is among them.
                memchr::memchr_iter(b'\n', rest).count() as u64
            }
        };
        self.count.written.inc_by(lines - failed);
        self.count.failed.inc_by(failed);
    }

    fn reopen(&mut self) {
        match open(&self.place) {
            Ok(file) => {
                (self.file, self.torn) = (file, false);
                log::info!("access log opened again place={}", self.place);
            }
            Err(error) => log::error!(
                "access log not opened again, the old file is written on place={} error={error}",
                self.place
            ),
        }
    }

    /// The lines are not looked at: they are in another processor's cache. The error comes with what
    /// was not written.
    fn write<'a>(&mut self, mut text: &'a [u8]) -> Result<(), (&'a [u8], io::Error)> {
        // After a full disk a line may have been left without its end.
        if self.torn && !text.is_empty() {
            self.file.write_all(b"\n").map_err(|error| (text, error))?;
            self.torn = false;
        }
        while !text.is_empty() {
            match self.file.write(text) {
                Ok(0) => return Err((text, io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.torn = text[written - 1] != b'\n';
                    text = &text[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((text, error)),
            }
        }
        Ok(())
    }

    fn tell(&mut self, error: &io::Error) {
        let now = clock::now();
        let due = self
            .told
            .is_none_or(|last| now.saturating_duration_since(last) >= REMIND);
        if due {
            self.told = Some(now);
            log::error!("access log not written place={} error={error}", self.place);
        }
    }
}

fn open(place: &Place) -> io::Result<File> {
    match place {
        // A copy of the descriptor: the handle of the standard library would hold a lock, and
        // write line by line.
        Place::Stdout => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        Place::File(file) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(file),
    }
}
