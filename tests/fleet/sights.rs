//! The part of a simulated gateway that knows which plugins run where: production nodes, and beside
//! them the plain truth, with which they are compared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use twolane::model::Role;
use twolane::nodes::{Node, Plugin, Plugins, Presence, Sight, Told};
use twolane::share::{Neighbour, Seen, newest};

const LASTING: Duration = Duration::from_secs(60);
/// Times are told in whole milliseconds, rounded so that they are older.
const DOUBT: Duration = Duration::from_millis(5);

/// A node and a plugin, by their numbers.
type Place = (usize, usize);

/// Somebody saw this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sighted {
    who: String,
    place: Place,
    present: bool,
    at: Instant,
    /// When it had last told the fleet: of a presence nobody knows more than that it was later.
    after: Instant,
}

impl Sighted {
    fn meaning(&self, now: Instant) -> Presence {
        match self.present {
            true => Presence::Present,
            false if now < self.at + LASTING => Presence::Absent,
            false => Presence::Unknown,
        }
    }
}

pub(crate) struct Sights {
    who: String,
    nodes: Vec<Node>,
    plugins: Vec<Arc<Plugin>>,
    table: Plugins,
    own: HashMap<Place, Sighted>,
    told: Instant,
}

impl Sights {
    pub(crate) fn new(who: &str, now: Instant) -> Self {
        let table = Plugins::new();
        let node = |n: usize| {
            let address = "10.0.0.1:5002".parse().unwrap();
            let id = format!("n{n}");
            Node::new(id.as_str().into(), address, (Role::Secondary, 1), now)
        };
        Self {
            who: who.to_owned(),
            nodes: vec![node(0)],
            plugins: ["p0", "p1"].map(|name| table.find(Some(name))).into(),
            table,
            own: HashMap::new(),
            told: now,
        }
    }

    pub(crate) fn see(&mut self, place: Place, present: bool, now: Instant) -> Sighted {
        let (node, plugin) = (&self.nodes[place.0], self.plugins[place.1].place());
        // A success wipes the slate: each absence lasts as long as the first.
        node.note_present(plugin);
        if !present {
            node.note_absent(plugin, now, LASTING);
        }
        let sighted = Sighted {
            who: self.who.clone(),
            place,
            present,
            at: now,
            after: self.told,
        };
        self.own.insert(place, sighted.clone());
        sighted
    }

    pub(crate) fn tell(&mut self, now: Instant) -> Vec<Seen> {
        self.told = now;
        let mut told = Vec::new();
        for node in &self.nodes {
            for (plugin, sight) in node.sights(&self.plugins, now) {
                let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
                told.push(Seen {
                    node: node.id().clone(),
                    plugin: plugin.name().to_owned(),
                    present: sight.present,
                    age: ms(now - sight.at),
                    ms: ms(sight.lasting),
                });
            }
        }
        told
    }

    pub(crate) fn hear(&self, others: &[Neighbour], now: Instant) {
        let newest = newest(others);
        for node in &self.nodes {
            let told = newest.get(node.id()).into_iter().flatten();
            let told: Vec<_> = told
                .map(|(name, it)| {
                    let sight = Sight {
                        present: it.present,
                        at: now.checked_sub(it.age).unwrap(),
                        lasting: it.lasting,
                    };
                    Told {
                        plugin: self.table.find(Some(name)).place(),
                        sight,
                        missed: it.missed,
                    }
                })
                .collect();
            node.hear_sights(&told, now);
        }
    }

    fn get(&self, place: Place, now: Instant) -> Presence {
        self.nodes[place.0].presence(self.plugins[place.1].place(), now)
    }

    /// Whatever it believes against its own eyes, somebody saw later.
    pub(crate) fn check(&self, seen: &HashSet<Sighted>, now: Instant) {
        for (place, own) in &self.own {
            let got = self.get(*place, now);
            let others = seen
                .iter()
                .filter(|it| it.who != self.who && it.place == *place);
            let later = others.filter(|it| it.at > own.at).collect::<Vec<_>>();
            let fits = got == own.meaning(now)
                || (got == Presence::Unknown && later.iter().any(|it| !it.present))
                || later.iter().any(|it| it.meaning(now) == got);
            assert!(
                fits,
                "{} believes {got:?} of {place:?}, saw {own:?}, others {later:?}",
                self.who
            );
        }
    }
}

/// After a quiet while all believe what was seen last, as far as it is known what that was.
pub(crate) fn all_agree(all: &[&Sights], ever: &HashSet<Sighted>, now: Instant) {
    for place in [(0, 0), (0, 1)] {
        let seen: Vec<_> = all.iter().filter_map(|it| it.own.get(&place)).collect();
        let Some(last) = seen.iter().max_by_key(|it| it.at) else {
            continue;
        };
        // Somebody who is gone saw it later, and who heard of that does not believe its own eyes.
        let later = |it: &Sighted| it.place == place && it.at > last.at;
        if ever.iter().any(later) {
            continue;
        }
        let beyond_doubt = |own: &Sighted| match (last.present, own.present) {
            // When exactly a presence was seen is not known: it counts as new for us and as old for
            // all others.
            (false, true) => false,
            (true, false) => last.after > own.at + DOUBT,
            _ => true,
        };
        if last.meaning(now) == Presence::Unknown || !seen.iter().all(|own| beyond_doubt(own)) {
            continue;
        }
        let contested = seen.iter().any(|own| own.meaning(now) == Presence::Absent);
        for sights in all {
            let got = sights.get(place, now);
            // A presence is not told where nobody believes otherwise.
            let untold = last.present && !contested && got != Presence::Absent;
            // Who saw it there too, it does not know when, and was told otherwise since.
            let saw = sights.own.get(&place).is_some_and(|own| own.present);
            let in_doubt = saw && got == Presence::Unknown;
            let fits = got == last.meaning(now) || untold || in_doubt;
            assert!(
                fits,
                "{} believes {got:?} of {place:?}, last was {last:?} of {seen:?}",
                sights.who
            );
        }
    }
}
