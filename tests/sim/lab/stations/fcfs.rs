//! So many workers and one queue.

use super::super::time::Moment;
use super::{Station, Task};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Who is next in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Arrival,
    /// The shortest: needs to know the future.
    Size,
}

/// See the module.
pub(crate) struct Fcfs {
    workers: usize,
    speed: f64,
    order: Order,
    running: BinaryHeap<Reverse<(Moment, u32)>>,
    waiting: BinaryHeap<Reverse<(Moment, u64, u32, Moment)>>,
    arrivals: u64,
}

impl Fcfs {
    pub(crate) fn new(workers: usize, speed: f64, order: Order) -> Self {
        Self {
            workers,
            speed,
            order,
            running: BinaryHeap::new(),
            waiting: BinaryHeap::new(),
            arrivals: 0,
        }
    }

    fn start(&mut self, now: f64, id: u32, size: f64) {
        self.running
            .push(Reverse((Moment(now + size / self.speed), id)));
    }
}

impl Station for Fcfs {
    fn enter(&mut self, now: f64, task: Task) {
        if self.running.len() < self.workers {
            self.start(now, task.id, task.size);
            return;
        }
        self.arrivals += 1;
        let rank = match self.order {
            Order::Arrival => 0.0,
            Order::Size => task.size,
        };
        self.waiting.push(Reverse((
            Moment(rank),
            self.arrivals,
            task.id,
            Moment(task.size),
        )));
    }

    fn next(&self) -> f64 {
        self.running
            .peek()
            .map_or(f64::INFINITY, |first| first.0.0.0)
    }

    fn step(&mut self, now: f64) -> Option<u32> {
        let Reverse((_, ended)) = self.running.pop()?;
        if let Some(Reverse((_, _, id, size))) = self.waiting.pop() {
            self.start(now, id, size.0);
        }
        Some(ended)
    }

    fn clear(&mut self, _now: f64) {
        self.running.clear();
        self.waiting.clear();
    }
}
