//! The plugin daemon: one process per plugin, which runs one thing at a time to its end, because
//! that is how gevent works. The processes share the node's cores. What waits for somebody else
//! holds up nobody.

use super::super::time::Moment;
use super::shared::Cores;
use super::{Station, Task};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// See the module.
pub(crate) struct Daemon {
    /// Processes per plugin: 1, but for the bound in which all nodes are one.
    processes: usize,
    speed: f64,
    cores: Cores,
    plugins: Vec<Process>,
    away: BinaryHeap<Reverse<(Moment, u32)>>,
    /// What is inside, and whether it has been away.
    inside: BTreeMap<u32, (Task, bool)>,
}

#[derive(Clone, Default)]
struct Process {
    running: usize,
    ready: VecDeque<u32>,
}

impl Daemon {
    pub(crate) fn new(processes: usize, cores: usize, speed: f64) -> Self {
        Self {
            processes,
            speed,
            cores: Cores::new(cores, speed),
            plugins: Vec::new(),
            away: BinaryHeap::new(),
            inside: BTreeMap::new(),
        }
    }

    fn away(&self) -> f64 {
        self.away.peek().map_or(f64::INFINITY, |first| first.0.0.0)
    }

    /// A request wants its process.
    fn ready(&mut self, now: f64, task: Task) {
        let process = &mut self.plugins[usize::from(task.plugin)];
        if process.running < self.processes {
            process.running += 1;
            self.cores.add(now, task.id, task.cpu / 2.0);
        } else {
            process.ready.push_back(task.id);
        }
    }

    /// A process has run one piece of a request to its end.
    fn free(&mut self, now: f64, plugin: u16) {
        let process = &mut self.plugins[usize::from(plugin)];
        let Some(next) = process.ready.pop_front() else {
            process.running -= 1;
            return;
        };
        let (task, _) = self.inside[&next];
        self.cores.add(now, next, task.cpu / 2.0);
    }
}

impl Station for Daemon {
    fn enter(&mut self, now: f64, task: Task) {
        let place = usize::from(task.plugin);
        if self.plugins.len() <= place {
            self.plugins.resize(place + 1, Process::default());
        }
        self.inside.insert(task.id, (task, false));
        self.ready(now, task);
    }

    fn next(&self) -> f64 {
        self.cores.next().min(self.away())
    }

    fn step(&mut self, now: f64) -> Option<u32> {
        if self.away() <= self.cores.next() {
            let Reverse((_, id)) = self.away.pop()?;
            let (task, was_away) = self.inside.get_mut(&id)?;
            *was_away = true;
            let task = *task;
            self.ready(now, task);
            return None;
        }
        let id = self.cores.pop(now)?;
        let (task, was_away) = *self.inside.get(&id)?;
        self.free(now, task.plugin);
        if was_away {
            self.inside.remove(&id);
            return Some(id);
        }
        let back = now + (task.size - task.cpu) / self.speed;
        self.away.push(Reverse((Moment(back), id)));
        None
    }

    fn clear(&mut self, now: f64) {
        self.cores.clear(now);
        self.away.clear();
        self.inside.clear();
        self.plugins.clear();
    }
}
