//! Who waits, and who goes next?
//!
//! The pure waiting room of one pool. It does not know what a place is: [`Room::wake`] asks its
//! caller to place one guest after another, in the order in which they shall go, and keeps those
//! for whom there is none.
//!
//! The order: the smallest of predicted size minus time waited, so that short requests go before
//! long ones and nobody is overtaken for ever (highest response ratio in spirit; SGLang and
//! TensorRT-LLM converged on the same). Within a class, tenants take turns ([`Turns`]). After
//! `max_hold` a guest goes anyway: agents call back through the gateway, and a nested call must
//! not wait for its own parent.

use super::turns::Turns;
use crate::model::Class;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long one may wait, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomRules {
    /// Then it goes anyway.
    pub max_hold: Duration,
    /// More are refused.
    pub max_queue: usize,
}

/// What the room must know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Short or long.
    pub class: Class,
    /// Guests of one kin fit into the same places: when one does not, none of them does.
    pub kin: u64,
    /// Who asks, hashed; 0 is nobody.
    pub tenant: u64,
    /// How long it will probably hold its place.
    pub predicted: Duration,
    /// How long it waited before: for another node, which then failed it.
    pub waited: Duration,
}

/// A guest's number. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What became of an attempt to place a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It went, to its place or to its end.
    Gone,
    /// No place for it, nor for any of its kin.
    Full,
    /// No place for any of its class.
    Shut,
}

/// The room is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

/// When a guest goes: the earlier the sooner; the ticket settles ties, so that the same history
/// gives the same order.
type Rank = (Instant, Ticket);

#[derive(Debug)]
struct Waiting {
    guest: Guest,
    since: Instant,
}

impl Waiting {
    /// Predicted size minus time waited, as a moment that does not change while it waits.
    fn rank(&self, ticket: Ticket) -> Rank {
        (
            self.since + self.guest.predicted - self.guest.waited,
            ticket,
        )
    }

    fn due(&self, ticket: Ticket, rules: &RoomRules) -> Rank {
        let left = rules.max_hold.saturating_sub(self.guest.waited);
        (self.since + left, ticket)
    }
}

/// The guests of one class, by tenant.
#[derive(Debug)]
struct Queue {
    ranks: BTreeMap<u64, BTreeSet<Rank>>,
    turns: Turns,
    length: usize,
}

/// The waiting room of one pool.
#[derive(Debug)]
pub struct Room {
    rules: RoomRules,
    guests: BTreeMap<Ticket, Waiting>,
    queues: [Queue; Class::ALL.len()],
    due: BTreeSet<Rank>,
    next: u64,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(rules: RoomRules) -> Self {
        let queue = |_| Queue {
            ranks: BTreeMap::new(),
            turns: Turns::new(),
            length: 0,
        };
        Self {
            rules,
            guests: BTreeMap::new(),
            queues: Class::ALL.map(queue),
            due: BTreeSet::new(),
            next: 0,
        }
    }

    /// Other rules, for those who wait already too. [`Room::wake`] applies them.
    pub fn set_rules(&mut self, rules: RoomRules) {
        self.rules = rules;
        let due = self.guests.iter();
        self.due = due.map(|(&at, one)| one.due(at, &rules)).collect();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.guests.len()
    }

    /// Does nobody wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    /// How many of one class wait.
    #[must_use]
    pub fn waiting(&self, class: Class) -> usize {
        self.queues[class.index()].length
    }

    /// When the next one will have waited long enough.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// When this one will have waited long enough; none when it is not here.
    #[must_use]
    pub fn due(&self, ticket: Ticket) -> Option<Instant> {
        let one = self.guests.get(&ticket)?;
        Some(one.due(ticket, &self.rules).0)
    }

    /// Takes a guest in, for whom there is no place now.
    ///
    /// # Errors
    /// When `max_queue` guests wait already.
    pub fn enter(&mut self, guest: Guest, now: Instant) -> Result<Ticket, Crowded> {
        if self.guests.len() >= self.rules.max_queue {
            return Err(Crowded);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let one = Waiting { guest, since: now };
        let queue = &mut self.queues[guest.class.index()];
        let own = queue.ranks.entry(guest.tenant).or_default();
        own.insert(one.rank(ticket));
        queue.length += 1;
        self.due.insert(one.due(ticket, &self.rules));
        self.guests.insert(ticket, one);
        Ok(ticket)
    }

    /// A guest leaves, whatever for. False: it was not here any more.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(one) = self.guests.remove(&ticket) else {
            return false;
        };
        self.due.remove(&one.due(ticket, &self.rules));
        let queue = &mut self.queues[one.guest.class.index()];
        if let Some(own) = queue.ranks.get_mut(&one.guest.tenant) {
            own.remove(&one.rank(ticket));
            if own.is_empty() {
                queue.ranks.remove(&one.guest.tenant);
            }
        }
        queue.length -= 1;
        true
    }

    /// Something changed: lets go whoever can. `place` is asked for one guest after another; its
    /// last argument says that the guest has waited for `max_hold` and goes whatever it answers.
    pub fn wake(&mut self, now: Instant, mut place: impl FnMut(Ticket, &Guest, bool) -> Placed) {
        while let Some(&(at, ticket)) = self.due.first() {
            if at > now {
                break;
            }
            let guest = self.guests[&ticket].guest;
            place(ticket, &guest, true);
            self.went(ticket);
        }
        let mut closed = Closed::default();
        while let Some(ticket) = self.first(&closed) {
            let guest = self.guests[&ticket].guest;
            match place(ticket, &guest, false) {
                Placed::Gone => self.went(ticket),
                // Whoever goes after this only takes places: what is full stays full.
                Placed::Full => closed.kin.push(guest.kin),
                Placed::Shut => closed.class[guest.class.index()] = true,
            }
        }
    }

    /// A request goes without having waited: its tenant's turn is spent all the same.
    pub fn charge(&mut self, guest: &Guest) {
        let queue = &mut self.queues[guest.class.index()];
        queue.turns.charge(guest.tenant, guest.predicted);
    }

    /// A request that went has ended: its tenant is charged for what it was, not what it seemed.
    pub fn correct(&mut self, guest: &Guest, actual: Duration) {
        let queue = &mut self.queues[guest.class.index()];
        let turns = &mut queue.turns;
        turns.correct(guest.tenant, guest.predicted, actual);
    }

    /// How long a guest that came now would wait, by the predicted sizes of those who go before
    /// it, over so many places.
    #[must_use]
    pub fn predicted_wait(&self, guest: &Guest, places: u32, now: Instant) -> Duration {
        let rank = now + guest.predicted;
        let before = self.guests.values().filter(|other| {
            let other = other.rank(Ticket(0)).0;
            other <= rank
        });
        let work: Duration = before.map(|other| other.guest.predicted).sum();
        work / places.max(1)
    }

    fn went(&mut self, ticket: Ticket) {
        let guest = self.guests[&ticket].guest;
        self.charge(&guest);
        self.leave(ticket);
    }

    /// Who goes next: the first of each class by turns, and of those the smaller rank.
    fn first(&self, closed: &Closed) -> Option<Ticket> {
        let classes = Class::ALL.into_iter();
        classes
            .filter(|class| !closed.class[class.index()])
            .filter_map(|class| self.first_of(class, closed))
            .min()
            .map(|(_, ticket)| ticket)
    }

    fn first_of(&self, class: Class, closed: &Closed) -> Option<Rank> {
        let queue = &self.queues[class.index()];
        let heads = queue.ranks.iter().filter_map(|(&tenant, own)| {
            let open = |rank: &&Rank| !closed.kin.contains(&self.guests[&rank.1].guest.kin);
            let head = own.iter().find(open)?;
            Some((queue.turns.stand(tenant), *head))
        });
        heads
            .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
            .map(|(_, head)| head)
    }
}

/// What was found to be full while going through the guests once.
#[derive(Default)]
struct Closed {
    kin: SmallVec<[u64; 8]>,
    class: [bool; Class::ALL.len()],
}
