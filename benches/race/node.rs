//! How does a node spend its time? Both disciplines in virtual time: whoever drives them says what
//! time it is, a discrete event loop or a process with a clock.

use std::collections::VecDeque;

/// What one call needs, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) plugin: usize,
    /// Computing before it waits.
    pub(crate) head: f64,
    /// Waiting for a model or a service.
    pub(crate) wait: f64,
    /// Computing after that.
    pub(crate) tail: f64,
}

impl Task {
    /// How long it takes where nothing else runs.
    pub(crate) fn alone(&self) -> f64 {
        self.head + self.wait + self.tail
    }

    pub(crate) fn faster(self, times: f64) -> Self {
        Self {
            plugin: self.plugin,
            head: self.head / times,
            wait: self.wait / times,
            tail: self.tail / times,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// So many at once, first come first served.
    Slots { slots: usize },
    /// As a plugin daemon: one process per plugin computes one call at a time, to its next wait;
    /// processes share the cores; waiting overlaps.
    Runtimes { cores: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Its first byte.
    Began,
    /// Its last byte.
    Ended,
}

/// Something that happened to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) id: usize,
    pub(crate) sign: Sign,
    pub(crate) at: f64,
}

pub(crate) enum Node {
    Slots(Slots),
    Runtimes(Runtimes),
}

impl Node {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Slots { slots } => Self::Slots(Slots {
                free: slots,
                waiting: VecDeque::new(),
                running: Vec::new(),
            }),
            Kind::Runtimes { cores } => Self::Runtimes(Runtimes {
                cores: f64::from(cores),
                now: 0.0,
                processes: Vec::new(),
                apart: Vec::new(),
            }),
        }
    }

    /// When something happens next, if nothing arrives.
    pub(crate) fn next(&self) -> Option<f64> {
        match self {
            Self::Slots(it) => it.next(),
            Self::Runtimes(it) => it.next(),
        }
    }

    /// Everything up to `now`.
    pub(crate) fn advance(&mut self, now: f64, marks: &mut Vec<Mark>) {
        match self {
            Self::Slots(it) => it.advance(now, marks),
            Self::Runtimes(it) => it.advance(now, marks),
        }
    }

    /// A call arrives; `advance` has been called with the same `now`.
    pub(crate) fn arrive(&mut self, now: f64, id: usize, task: Task, marks: &mut Vec<Mark>) {
        match self {
            Self::Slots(it) => {
                it.waiting.push_back((id, task.alone()));
                it.fill(now, marks);
            }
            Self::Runtimes(it) => it.compute(Piece {
                id,
                task,
                last: false,
            }),
        }
    }
}

pub(crate) struct Slots {
    free: usize,
    waiting: VecDeque<(usize, f64)>,
    /// When each of them ends.
    running: Vec<(f64, usize)>,
}

impl Slots {
    fn fill(&mut self, now: f64, marks: &mut Vec<Mark>) {
        while self.free > 0 {
            let Some((id, size)) = self.waiting.pop_front() else {
                return;
            };
            self.free -= 1;
            self.running.push((now + size, id));
            marks.push(Mark {
                id,
                sign: Sign::Began,
                at: now,
            });
        }
    }

    fn next(&self) -> Option<f64> {
        self.running.iter().map(|it| it.0).min_by(f64::total_cmp)
    }

    fn advance(&mut self, now: f64, marks: &mut Vec<Mark>) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            let which = self.running.iter().position(|it| it.0 <= at);
            let (_, id) = self.running.swap_remove(which.expect("it is the next"));
            marks.push(Mark {
                id,
                sign: Sign::Ended,
                at,
            });
            self.free += 1;
            self.fill(at, marks);
        }
    }
}

/// One of a call's two computing pieces.
struct Piece {
    id: usize,
    task: Task,
    last: bool,
}

impl Piece {
    fn work(&self) -> f64 {
        if self.last {
            self.task.tail
        } else {
            self.task.head
        }
    }
}

/// One plugin's process.
struct Process {
    plugin: usize,
    queue: VecDeque<Piece>,
    /// What is left of the piece in front.
    left: f64,
}

pub(crate) struct Runtimes {
    cores: f64,
    now: f64,
    /// Those that compute.
    processes: Vec<Process>,
    /// Calls that wait for others, and until when.
    apart: Vec<(f64, Piece)>,
}

impl Runtimes {
    fn compute(&mut self, piece: Piece) {
        let own = self
            .processes
            .iter_mut()
            .find(|it| it.plugin == piece.task.plugin);
        match own {
            Some(process) => process.queue.push_back(piece),
            None => self.processes.push(Process {
                plugin: piece.task.plugin,
                left: piece.work(),
                queue: VecDeque::from([piece]),
            }),
        }
    }

    /// How fast each process computes.
    fn speed(&self) -> f64 {
        (self.cores / self.processes.len() as f64).min(1.0)
    }

    fn next(&self) -> Option<f64> {
        let least = self
            .processes
            .iter()
            .map(|it| it.left)
            .min_by(f64::total_cmp);
        let computed = least.map(|left| self.now + left / self.speed());
        let waited = self.apart.iter().map(|it| it.0).min_by(f64::total_cmp);
        [computed, waited]
            .into_iter()
            .flatten()
            .min_by(f64::total_cmp)
    }

    fn advance(&mut self, now: f64, marks: &mut Vec<Mark>) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            self.spend(at);
            if let Some(which) = self.apart.iter().position(|it| it.0 <= at) {
                let (_, piece) = self.apart.swap_remove(which);
                if piece.task.tail > 0.0 {
                    self.compute(Piece {
                        last: true,
                        ..piece
                    });
                } else {
                    // Nothing is left that would have to wait for the process.
                    marks.push(Mark {
                        id: piece.id,
                        sign: Sign::Ended,
                        at,
                    });
                }
            } else {
                self.turn(at, marks);
            }
        }
        self.spend(now);
    }

    fn spend(&mut self, now: f64) {
        let done = (now - self.now).max(0.0) * self.speed();
        for process in &mut self.processes {
            process.left -= done;
        }
        self.now = now;
    }

    /// The process with the least left has come to the end of its piece.
    fn turn(&mut self, at: f64, marks: &mut Vec<Mark>) {
        let lefts = self.processes.iter().enumerate();
        let first = lefts.min_by(|one, other| one.1.left.total_cmp(&other.1.left));
        let which = first.expect("somebody computes").0;
        let process = &mut self.processes[which];
        let piece = process.queue.pop_front().expect("it computes something");
        match process.queue.front() {
            Some(next) => process.left = next.work(),
            None => drop(self.processes.swap_remove(which)),
        }
        let sign = if piece.last { Sign::Ended } else { Sign::Began };
        marks.push(Mark {
            id: piece.id,
            sign,
            at,
        });
        if !piece.last {
            self.apart.push((at + piece.task.wait, piece));
        }
    }
}
