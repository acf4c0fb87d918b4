//! What happens next? One run: a trace, a farm, a policy, from the first request to the last answer.

use super::farm::Farm;
use super::faults::{CHECK, CONNECT, Death, FALL, FAST, Fault, SILENCE};
use super::figures::{Fate, Figures};
use super::fleet::{Exchange, Fleet};
use super::gateway::{Attempt, Gateway, Past};
use super::policy::Policy;
use super::stations::{Station, Task};
use super::time::Moment;
use super::trace::{DOORS, Trace};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use twolane::admit::End;
use twolane::dify::Refusal;
use twolane::model::clock;

/// Everything that decides a run. The same twice gives the same run.
pub(crate) struct Setting<'a> {
    pub(crate) farm: &'a Farm,
    pub(crate) trace: &'a Trace,
    pub(crate) policy: &'a Policy,
    pub(crate) seed: u64,
    pub(crate) fault: Fault,
    pub(crate) fleet: Fleet,
}

/// What happens apart from arrivals and work, in order within one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The first node dies.
    Death,
    /// The first node is asked how it is.
    Check,
    /// What was lost without a word is given up.
    Silence(u32),
    /// Gateways tell each other what they do.
    Exchange,
    /// An attempt at the dead node, or at one that fails, comes to nothing.
    Nothing(u32),
}

/// A run under way.
struct Run<'a> {
    setting: &'a Setting<'a>,
    stations: Vec<Box<dyn Station>>,
    gateways: Vec<Gateway>,
    exchange: Exchange,
    events: BinaryHeap<Reverse<(Moment, Event)>>,
    attempts: Vec<Option<Attempt>>,
    pasts: Vec<Option<Box<Past>>>,
    fates: Vec<Fate>,
    left: usize,
    dead: bool,
    failed_checks: u32,
}

/// Runs it to its end: the fate of each request.
pub(crate) fn run(setting: &Setting<'_>) -> Vec<Fate> {
    let mut run = Run::new(setting);
    run.play();
    run.fates
}

/// The figures of a run without faults.
pub(crate) fn figures(farm: &Farm, trace: &Trace, policy: &Policy, seed: u64) -> Figures {
    let setting = Setting {
        farm,
        trace,
        policy,
        seed,
        fault: Fault::None,
        fleet: Fleet::ALONE,
    };
    Figures::of(trace, &run(&setting))
}

impl<'a> Run<'a> {
    fn new(setting: &'a Setting<'a>) -> Self {
        let count = setting.trace.arrivals.len();
        let base = clock::now();
        let gateways = (0..u64::from(setting.fleet.gateways)).map(|n| {
            let place = (setting.farm.nodes(), setting.seed ^ (n << 32));
            Gateway::new(setting.policy, &setting.trace.operations, place, base)
        });
        let gateways: Vec<_> = gateways.collect();
        let mut run = Self {
            exchange: Exchange::new(setting.fleet, &gateways, base),
            setting,
            stations: setting.farm.build(),
            gateways,
            events: BinaryHeap::new(),
            attempts: (0..count).map(|_| None).collect(),
            pasts: (0..count).map(|_| None).collect(),
            fates: vec![Fate::default(); count],
            left: count,
            dead: false,
            failed_checks: 0,
        };
        if let Fault::Dies(_, share) = setting.fault {
            run.at(share * setting.trace.span(), Event::Death);
            run.at(CHECK, Event::Check);
        }
        if let Some(lag) = setting.fleet.lag {
            run.at(lag, Event::Exchange);
        }
        run
    }

    fn at(&mut self, when: f64, event: Event) {
        self.events.push(Reverse((Moment(when), event)));
    }

    fn play(&mut self) {
        let mut next = 0;
        while self.left > 0 {
            let arrival = (self.setting.trace.arrivals.get(next))
                .map_or(f64::INFINITY, super::trace::Arrival::seconds);
            let (mut station, mut work) = (0, f64::INFINITY);
            for (at, it) in self.stations.iter().enumerate() {
                let when = it.next();
                if when < work {
                    (station, work) = (at, when);
                }
            }
            let event = self.events.peek().map_or(f64::INFINITY, |it| it.0.0.0);
            if work <= arrival && work <= event {
                if let Some(id) = self.stations[station].step(work) {
                    self.answered(id, work);
                }
            } else if event <= arrival {
                if let Some(Reverse((when, event))) = self.events.pop() {
                    self.happens(event, when.0);
                }
            } else {
                let id = u32::try_from(next).expect("fewer than four thousand million");
                next += 1;
                self.gateway(id).note_request();
                self.send(id, arrival);
            }
        }
    }

    fn gateway(&mut self, id: u32) -> &mut Gateway {
        let door = usize::from(self.setting.trace.arrivals[id as usize].door);
        let count = self.gateways.len();
        &mut self.gateways[door * count / usize::from(DOORS)]
    }

    /// Sends a request to the node that its gateway chooses.
    fn send(&mut self, id: u32, now: f64) {
        let arrival = self.setting.trace.arrivals[id as usize];
        let past = self.pasts[id as usize].take().unwrap_or_default();
        let chosen = self.gateway(id).choose(arrival.operation, &past, now);
        self.pasts[id as usize] = (past.failures > 0).then_some(past);
        let Some((node, mut attempt)) = chosen else {
            self.ended(id, now, true);
            return;
        };
        if !self.silent(node) {
            attempt.reached();
        }
        self.attempts[id as usize] = Some(attempt);
        let fate = &mut self.fates[id as usize];
        fate.node = u16::try_from(node).expect("few nodes");
        fate.attempts += 1;
        match self.trouble(node, now) {
            Some(after) => self.at(now + after, Event::Nothing(id)),
            None => {
                let operation = &self.setting.trace.operations[usize::from(arrival.operation)];
                let task = Task {
                    id,
                    plugin: operation.plugin,
                    size: arrival.size_seconds(),
                    cpu: arrival.cpu_seconds(),
                };
                self.stations[node].enter(now, task);
            }
        }
    }

    /// Whether a connection to the node is not answered.
    fn silent(&self, node: usize) -> bool {
        node == 0 && self.dead && matches!(self.setting.fault, Fault::Dies(..))
    }

    /// After how long an attempt at a node comes to nothing, if it does.
    fn trouble(&self, node: usize, now: f64) -> Option<f64> {
        let span = self.setting.trace.span();
        match self.setting.fault {
            _ if node > 0 => None,
            Fault::Dies(death, _) if self.dead => Some(match death {
                Death::BlackHole => CONNECT,
                Death::Refuses => 0.0,
            }),
            Fault::FailsFast(from, to) if (from * span..to * span).contains(&now) => Some(FAST),
            _ => None,
        }
    }

    fn answered(&mut self, id: u32, now: f64) {
        let operation = self.setting.trace.arrivals[id as usize].operation;
        let attempt = self.attempts[id as usize].take().expect("it was sent");
        self.gateway(id).answered(attempt, operation, now);
        self.ended(id, now, false);
    }

    fn ended(&mut self, id: u32, now: f64, failed: bool) {
        let fate = &mut self.fates[id as usize];
        fate.end = now;
        fate.failed = failed;
        self.left -= 1;
    }

    fn happens(&mut self, event: Event, now: f64) {
        match event {
            Event::Death => {
                self.dead = true;
                self.stations[0].clear(now);
                let lost: Vec<_> = (0..self.fates.len())
                    .filter(|&at| self.attempts[at].is_some() && self.fates[at].node == 0)
                    .collect();
                for at in lost {
                    match self.setting.fault {
                        // Nobody says that they are gone.
                        Fault::Dies(Death::BlackHole, _) => {
                            self.at(now + SILENCE, Event::Silence(at as u32));
                        }
                        _ => self.came_to_nothing(at as u32, End::Broke, now),
                    }
                }
            }
            Event::Check => {
                self.failed_checks = if self.dead { self.failed_checks + 1 } else { 0 };
                if self.failed_checks == FALL {
                    for gateway in &self.gateways {
                        gateway.nodes[0].set_healthy(false);
                    }
                } else {
                    self.at(now + CHECK, Event::Check);
                }
            }
            Event::Silence(id) => self.came_to_nothing(id, End::Silent, now),
            Event::Exchange => {
                self.exchange.tick(&self.gateways, now);
                let lag = self.setting.fleet.lag.unwrap_or(f64::INFINITY);
                self.at(now + lag, Event::Exchange);
            }
            Event::Nothing(id) => {
                let end = match self.setting.fault {
                    Fault::Dies(..) => End::Unreached,
                    Fault::None | Fault::FailsFast(..) => End::Refused(Refusal::Other),
                };
                self.came_to_nothing(id, end, now);
            }
        }
    }

    fn came_to_nothing(&mut self, id: u32, end: End, now: f64) {
        let operation = self.setting.trace.arrivals[id as usize].operation;
        let attempt = self.attempts[id as usize].take().expect("it was sent");
        let mut past = self.pasts[id as usize].take().unwrap_or_default();
        let again = self
            .gateway(id)
            .failed(attempt, (operation, end), &mut past, now);
        self.pasts[id as usize] = Some(past);
        if again {
            self.send(id, now);
        } else {
            self.ended(id, now, true);
        }
    }
}
