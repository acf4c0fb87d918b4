//! How do lines reach the disk? In batches, by a thread that may stand still.

use super::{AccessMetrics, Place};
use crate::model::clock;
use parking_lot::{Condvar, Mutex};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// So many bytes are written at once: one system call for a hundred lines under load, and none
/// waits for company.
const BATCH: usize = 64 * 1024;
/// While trouble lasts it is told once in so long.
const REMIND: Duration = Duration::from_secs(60);
/// Whoever may read the group's logs may read these; they tell who asked for what.
const MODE: u32 = 0o640;

/// What both sides of the queue know.
#[derive(Debug, Default)]
pub(super) struct Progress {
    reopen: AtomicBool,
    sent: AtomicU64,
    done: Mutex<u64>,
    moved: Condvar,
}

impl Progress {
    pub(super) fn note_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn ask_to_reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    fn note_done(&self, lines: u64) {
        *self.done.lock() += lines;
        self.moved.notify_all();
    }

    /// Waits until all that was sent is done.
    pub(super) fn wait(&self, patience: Duration) {
        let sent = self.sent();
        let mut done = self.done.lock();
        self.moved
            .wait_while_for(&mut done, |done| *done < sent, patience);
    }
}

/// The writing end.
pub(super) struct Carrier {
    place: Place,
    file: File,
    /// The last line that was begun was not ended.
    torn: bool,
    told: Option<Instant>,
    progress: Arc<Progress>,
    count: AccessMetrics,
}

impl Carrier {
    pub(super) fn open(
        place: Place,
        progress: Arc<Progress>,
        count: AccessMetrics,
    ) -> io::Result<Self> {
        Ok(Self {
            file: open(&place)?,
            place,
            torn: false,
            told: None,
            progress,
            count,
        })
    }

    /// Until nobody can send any more.
    pub(super) fn run(mut self, lines: &Receiver<Vec<u8>>) {
        let mut batch = Vec::with_capacity(BATCH + 4096);
        while let Ok(first) = lines.recv() {
            batch.clear();
            let mut many = 0;
            let mut next = Some(first);
            while let Some(line) = next {
                many += u64::from(!line.is_empty());
                batch.extend_from_slice(&line);
                next = (batch.len() < BATCH)
                    .then(|| lines.try_recv().ok())
                    .flatten();
            }
            if self.progress.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match self.write(&batch) {
                Ok(()) => self.count.written.inc_by(many),
                Err(error) => {
                    self.count.failed.inc_by(many);
                    self.tell(&error);
                }
            }
            self.progress.note_done(many);
        }
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

    fn write(&mut self, mut batch: &[u8]) -> io::Result<()> {
        // After a full disk a line may have been left without its end.
        if self.torn && !batch.is_empty() {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while !batch.is_empty() {
            match self.file.write(batch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = batch[written - 1] != b'\n';
                    batch = &batch[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
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
