//! The bound: all that is there may be interrupted and moved, and those with least left run.

use super::{Station, Task};

/// See the module. Nothing real can do this: it knows sizes beforehand.
pub(crate) struct Srpt {
    cores: usize,
    speed: f64,
    at: f64,
    /// What is left of each, the least first.
    left: Vec<(f64, u32)>,
}

impl Srpt {
    pub(crate) fn new(cores: usize, speed: f64) -> Self {
        Self {
            cores,
            speed,
            at: 0.0,
            left: Vec::new(),
        }
    }

    fn advance(&mut self, now: f64) {
        let done = (now - self.at) * self.speed;
        for (left, _) in self.left.iter_mut().take(self.cores) {
            *left -= done;
        }
        self.at = now;
    }
}

impl Station for Srpt {
    fn enter(&mut self, now: f64, task: Task) {
        self.advance(now);
        let place = self.left.partition_point(|(left, _)| *left <= task.size);
        self.left.insert(place, (task.size, task.id));
    }

    fn next(&self) -> f64 {
        self.left.first().map_or(f64::INFINITY, |(left, _)| {
            self.at + left.max(0.0) / self.speed
        })
    }

    fn step(&mut self, now: f64) -> Option<u32> {
        self.advance(now);
        (!self.left.is_empty()).then(|| self.left.remove(0).1)
    }

    fn clear(&mut self, now: f64) {
        self.at = now;
        self.left.clear();
    }
}
