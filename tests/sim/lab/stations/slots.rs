//! A node that works on so many requests at once: a core at the beginning and at the end of each,
//! somebody else's answer in between.

use super::super::time::Moment;
use super::shared::Cores;
use super::{Station, Task};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// See the module.
pub(crate) struct Slots {
    slots: usize,
    speed: f64,
    cores: Cores,
    /// Those that wait for somebody else, by when the answer comes.
    away: BinaryHeap<Reverse<(Moment, u32)>>,
    /// What is inside, and whether it has been away.
    inside: BTreeMap<u32, (Task, bool)>,
    queue: VecDeque<Task>,
}

impl Slots {
    pub(crate) fn new(slots: usize, cores: usize, speed: f64) -> Self {
        Self {
            slots,
            speed,
            cores: Cores::new(cores, speed),
            away: BinaryHeap::new(),
            inside: BTreeMap::new(),
            queue: VecDeque::new(),
        }
    }

    fn admit(&mut self, now: f64, task: Task) {
        self.inside.insert(task.id, (task, false));
        self.cores.add(now, task.id, task.cpu / 2.0);
    }

    fn away(&self) -> f64 {
        self.away.peek().map_or(f64::INFINITY, |first| first.0.0.0)
    }
}

impl Station for Slots {
    fn enter(&mut self, now: f64, task: Task) {
        if self.inside.len() < self.slots {
            self.admit(now, task);
        } else {
            self.queue.push_back(task);
        }
    }

    fn next(&self) -> f64 {
        self.cores.next().min(self.away())
    }

    fn step(&mut self, now: f64) -> Option<u32> {
        if self.away() <= self.cores.next() {
            let Reverse((_, id)) = self.away.pop()?;
            let (task, was_away) = self.inside.get_mut(&id)?;
            *was_away = true;
            self.cores.add(now, id, task.cpu / 2.0);
            return None;
        }
        let id = self.cores.pop(now)?;
        let (task, was_away) = self.inside.get(&id)?;
        if !was_away {
            let back = now + (task.size - task.cpu) / self.speed;
            self.away.push(Reverse((Moment(back), id)));
            return None;
        }
        self.inside.remove(&id);
        if let Some(next) = self.queue.pop_front() {
            self.admit(now, next);
        }
        Some(id)
    }

    fn clear(&mut self, now: f64) {
        self.cores.clear(now);
        self.away.clear();
        self.inside.clear();
        self.queue.clear();
    }
}
