//! Who takes a line, and which places are there for them?

use super::queue::Queue;
use super::thread::Carrier;
use super::{AccessMetrics, Marks, Record};
use crate::model::LogFormat;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standard output.
    Stdout,
    /// A file; they are appended.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

/// A bounded queue of records, and the thread that writes their lines. The thread ends when the last
/// request that knows the sink has ended, after the last line.
#[derive(Debug)]
pub struct Sink {
    place: Place,
    queue: Arc<Queue>,
    count: AccessMetrics,
}

impl Sink {
    fn open(place: Place, capacity: usize, count: AccessMetrics) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity));
        let carrier = Carrier::open(place.clone(), Arc::clone(&queue), count.clone())?;
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || carrier.run())?;
        Ok(Self {
            place,
            queue,
            count,
        })
    }

    /// Writes one request down. Never waits for the disk: with a full queue the line is lost, and
    /// counted.
    pub fn take(&self, format: LogFormat, record: &Record<'_>, marks: Marks) {
        if !self.queue.put(format, record, marks) {
            self.count.lost.inc();
        }
    }

    /// Opens the file again under its name, after something moved it away. Lines that wait go to
    /// the new one.
    pub fn reopen(&self) {
        self.queue.ask_to_reopen();
    }

    /// Waits until all that was taken is written, or for `patience`.
    pub fn flush(&self, patience: Duration) {
        self.queue.wait(patience);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The sinks there are. One that is asked for again is the same, so that a reload which leaves it
/// alone neither opens nor closes anything.
#[derive(Debug)]
pub struct Sinks {
    count: AccessMetrics,
    known: Mutex<Vec<Weak<Sink>>>,
}

impl Sinks {
    /// None yet.
    #[must_use]
    pub const fn new(count: AccessMetrics) -> Self {
        Self {
            count,
            known: Mutex::new(Vec::new()),
        }
    }

    /// A sink for this place, in front of which so many lines may wait.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(&self, place: &Place, capacity: usize) -> io::Result<Arc<Sink>> {
        let mut known = self.known.lock();
        known.retain(|sink| sink.strong_count() > 0);
        let same = |sink: &Arc<Sink>| sink.place == *place && sink.queue.capacity() == capacity;
        if let Some(sink) = known.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(sink);
        }
        let sink = Arc::new(Sink::open(place.clone(), capacity, self.count.clone())?);
        known.push(Arc::downgrade(&sink));
        Ok(sink)
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::record;
    use super::*;
    use std::fs;
    use std::os::unix::fs::FileTypeExt;
    use std::process::Command;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sinks() -> Sinks {
        let count = AccessMetrics::register(&prometheus::Registry::new());
        Sinks::new(count.expect("one family"))
    }

    fn write(sink: &Sink, times: u64) {
        for _ in 0..times {
            sink.take(LogFormat::Json, &record(), Marks::default());
        }
    }

    #[test]
    fn a_sink_that_is_asked_for_again_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let sinks = sinks();
        let place = Place::File(folder.path().join("a.log"));
        let first = sinks.open(&place, 8).expect("it opens");
        let again = sinks.open(&place, 8).expect("it opens");
        assert!(Arc::ptr_eq(&first, &again));
        let other = sinks.open(&place, 9).expect("it opens");
        assert!(!Arc::ptr_eq(&first, &other));
        let missing = Place::File(folder.path().join("no/such/folder.log"));
        assert!(sinks.open(&missing, 8).is_err());
    }

    #[test]
    fn f216_what_was_moved_away_is_opened_again_and_nothing_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let sink = sinks()
            .open(&Place::File(file.clone()), 1000)
            .expect("it opens");
        write(&sink, 100);
        sink.flush(PATIENCE);
        fs::rename(&file, &moved).expect("it can be moved");
        sink.reopen();
        write(&sink, 50);
        sink.flush(PATIENCE);
        let lines = |file| {
            fs::read_to_string(file)
                .expect("it is there")
                .lines()
                .count()
        };
        assert_eq!((lines(&moved), lines(&file)), (100, 50));
        assert_eq!(sink.count.written.get(), 150);
    }

    /// A pipe that nobody reads is the slowest disk there is.
    #[test]
    fn a_writer_that_stands_still_costs_lines_and_no_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("there is a mkfifo").success());
        assert!(
            fs::metadata(&pipe)
                .expect("it is there")
                .file_type()
                .is_fifo()
        );
        // Opening the end for writing waits for a reader, which then reads nothing.
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::File::open(pipe).expect("the other end opens")
        });
        let sink = sinks().open(&Place::File(pipe), 16).expect("it opens");
        let reader = reader.join().expect("the other end is open");
        // A pipe holds 64 KiB, the queue 16 lines, a batch some more: these are more than all.
        write(&sink, 10_000);
        // Nobody will read any more: what waits fails, or what comes now, and is counted too.
        drop(reader);
        write(&sink, 1);
        let (taken, lost) = (sink.queue.sent(), sink.count.lost.get());
        assert_eq!(
            taken + lost,
            10_001,
            "each line is written, waits, or is counted"
        );
        assert!(lost > 5_000, "{lost} of 10,000");
        sink.flush(PATIENCE);
        let (written, failed) = (sink.count.written.get(), sink.count.failed.get());
        assert_eq!(written + failed, taken);
        assert!(failed > 0);
    }
}
