//! Cores that all share alike: nobody gets more than one, and when there are more requests than
//! cores each gets its part.

use super::super::time::Moment;
use super::{Station, Task};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cores under processor sharing. One number tells how far everybody has come, so that nobody has
/// to be touched when somebody comes or goes.
pub(crate) struct Cores {
    cores: f64,
    speed: f64,
    /// Work that one who was there from the beginning would have got.
    done: f64,
    at: f64,
    ends: BinaryHeap<Reverse<(Moment, u32)>>,
}

impl Cores {
    pub(crate) fn new(cores: usize, speed: f64) -> Self {
        Self {
            cores: cores as f64,
            speed,
            done: 0.0,
            at: 0.0,
            ends: BinaryHeap::new(),
        }
    }

    fn rate(&self) -> f64 {
        let sharing = self.ends.len() as f64;
        self.speed * (self.cores / sharing).min(1.0)
    }

    fn advance(&mut self, now: f64) {
        if !self.ends.is_empty() {
            self.done += (now - self.at) * self.rate();
        }
        self.at = now;
    }

    pub(crate) fn add(&mut self, now: f64, id: u32, work: f64) {
        self.advance(now);
        self.ends.push(Reverse((Moment(self.done + work), id)));
    }

    pub(crate) fn next(&self) -> f64 {
        self.ends.peek().map_or(f64::INFINITY, |Reverse((end, _))| {
            self.at + (end.0 - self.done).max(0.0) / self.rate()
        })
    }

    /// Takes out whoever is done first, at the moment that `next` told.
    pub(crate) fn pop(&mut self, now: f64) -> Option<u32> {
        self.advance(now);
        self.ends.pop().map(|Reverse((_, id))| id)
    }

    pub(crate) fn clear(&mut self, now: f64) {
        self.advance(now);
        self.ends.clear();
    }
}

/// A node whose requests need a core all the time.
pub(crate) struct Shared(Cores);

impl Shared {
    pub(crate) fn new(cores: usize, speed: f64) -> Self {
        Self(Cores::new(cores, speed))
    }
}

impl Station for Shared {
    fn enter(&mut self, now: f64, task: Task) {
        self.0.add(now, task.id, task.size);
    }

    fn next(&self) -> f64 {
        self.0.next()
    }

    fn step(&mut self, now: f64) -> Option<u32> {
        self.0.pop(now)
    }

    fn clear(&mut self, now: f64) {
        self.0.clear(now);
    }
}
