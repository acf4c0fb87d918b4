//! What must hold in the waiting room, whatever comes, goes, leaves and changes?

use super::{Crowded, Guest, Placed, Room, RoomRules, Ticket};
use crate::model::{Class, clock};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const RULES: RoomRules = RoomRules {
    max_hold: Duration::from_secs(10),
    max_queue: 8,
};

fn guest(class: Class, tenant: u64, ms: u64) -> Guest {
    Guest {
        class,
        kin: class as u64,
        tenant,
        predicted: Duration::from_millis(ms),
        waited: Duration::ZERO,
    }
}

/// What happens to the room.
#[derive(Clone, Debug)]
enum Event {
    Comes(bool, u64, u64),
    /// The n-th of those who wait hangs up.
    Leaves(usize),
    /// The n-th of those who run ends.
    Ends(usize),
    Passes(u64),
    Places(usize),
    Holds(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (any::<bool>(), 0u64..4, 1u64..9000).prop_map(|(l, t, s)| Event::Comes(l, t, s)),
        1 => (0usize..8).prop_map(Event::Leaves),
        3 => (0usize..8).prop_map(Event::Ends),
        2 => (0u64..4000).prop_map(Event::Passes),
        1 => (0usize..5).prop_map(Event::Places),
        1 => (1u64..12).prop_map(Event::Holds),
    ];
    prop::collection::vec(event, 1..120)
}

/// A pool with so many places, and a room before it. Long requests may hold all but one.
struct Hall {
    room: Room,
    now: Instant,
    places: usize,
    running: Vec<Guest>,
    waiting: BTreeMap<Ticket, (Guest, Instant)>,
    hold: Duration,
    entered: usize,
    gone: Vec<(Ticket, bool)>,
    left: usize,
}

impl Hall {
    fn new(now: Instant) -> Self {
        Self {
            room: Room::new(RULES),
            now,
            places: 2,
            running: Vec::new(),
            waiting: BTreeMap::new(),
            hold: RULES.max_hold,
            entered: 0,
            gone: Vec::new(),
            left: 0,
        }
    }

    fn may(running: &[Guest], places: usize, class: Class) -> Placed {
        let long = running.iter().filter(|one| one.class == Class::Long);
        if class == Class::Long && long.count() + 1 >= places {
            return Placed::Shut;
        }
        if running.len() < places {
            Placed::Gone
        } else {
            Placed::Full
        }
    }

    fn wake(&mut self) {
        let (running, places) = (&mut self.running, self.places);
        let (waiting, gone, now, hold) = (&mut self.waiting, &mut self.gone, self.now, self.hold);
        self.room.wake(now, |ticket, guest, overdue| {
            let (known, since) = waiting[&ticket];
            assert_eq!(known, *guest);
            assert_eq!(
                overdue,
                now >= since + hold,
                "overdue exactly after max_hold"
            );
            let answer = Self::may(running, places, guest.class);
            if answer == Placed::Gone || overdue {
                waiting.remove(&ticket).expect("nobody goes twice");
                running.push(*guest);
                gone.push((ticket, overdue));
            }
            answer
        });
    }

    fn meet(&mut self, event: &Event) {
        match *event {
            Event::Comes(long, tenant, ms) => {
                let class = if long { Class::Long } else { Class::Short };
                let guest = guest(class, tenant, ms);
                match self.room.enter(guest, self.now) {
                    Ok(ticket) => {
                        self.entered += 1;
                        assert!(self.waiting.insert(ticket, (guest, self.now)).is_none());
                    }
                    Err(Crowded) => assert_eq!(self.waiting.len(), RULES.max_queue),
                }
            }
            Event::Leaves(at) => {
                if let Some(&ticket) = self.waiting.keys().nth(at) {
                    assert!(self.room.leave(ticket));
                    assert!(!self.room.leave(ticket), "who left is not here");
                    self.waiting.remove(&ticket);
                    self.left += 1;
                }
            }
            Event::Ends(at) if at < self.running.len() => {
                let guest = self.running.remove(at);
                self.room.correct(&guest, guest.predicted * 2);
            }
            Event::Ends(_) => {}
            Event::Passes(ms) => self.pass(Duration::from_millis(ms)),
            Event::Places(places) => self.places = places,
            Event::Holds(seconds) => {
                self.hold = Duration::from_secs(seconds);
                self.room.set_rules(RoomRules {
                    max_hold: self.hold,
                    ..RULES
                });
            }
        }
        self.wake();
    }

    /// Time passes as the shell lets it: nobody's moment is slept through.
    fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.room.next_due().filter(|&due| due < until) {
            self.now = self.now.max(due);
            self.wake();
        }
        self.now = until;
    }

    fn check(&self) {
        assert_eq!(
            self.entered,
            self.gone.len() + self.left + self.waiting.len(),
            "nobody is lost and nobody is there twice"
        );
        assert_eq!(self.room.len(), self.waiting.len());
        let of = |class: Class| {
            let all = self.waiting.values();
            all.filter(|(guest, _)| guest.class == class).count()
        };
        for class in Class::ALL {
            assert_eq!(self.room.waiting(class), of(class));
        }
        for (guest, since) in self.waiting.values() {
            assert!(
                self.now < *since + self.hold,
                "held for longer than max_hold"
            );
            let may = Self::may(&self.running, self.places, guest.class);
            assert_ne!(may, Placed::Gone, "{guest:?} is held while there is room");
        }
    }
}

proptest! {
    #[test]
    fn nobody_is_lost_held_too_long_or_held_while_there_is_room(events in events()) {
        let now = clock::now();
        let mut hall = Hall::new(now);
        let mut again = Hall::new(now);
        for event in &events {
            hall.meet(event);
            hall.check();
            again.meet(event);
        }
        prop_assert_eq!(&hall.gone, &again.gone, "the same history, the same order");
        // With every place open, everybody goes.
        hall.meet(&Event::Places(1000));
        prop_assert!(hall.room.is_empty());
    }

    /// Of one tenant, whoever is overtaken is so by requests whose predicted size less their age is
    /// smaller.
    #[test]
    fn who_overtakes_is_smaller_by_size_less_age(
        guests in prop::collection::vec((any::<bool>(), 1u64..20_000, 0u64..500), 2..8),
    ) {
        let start = clock::now();
        let mut room = Room::new(RoomRules { max_hold: Duration::from_secs(600), ..RULES });
        let mut now = start;
        let mut ranks = BTreeMap::new();
        for (long, ms, gap) in guests {
            now += Duration::from_millis(gap);
            let class = if long { Class::Long } else { Class::Short };
            let one = guest(class, 0, ms);
            let ticket = room.enter(one, now).expect("there is room in the queue");
            ranks.insert(ticket, now + one.predicted);
        }
        let mut order = Vec::new();
        room.wake(now, |ticket, _, _| {
            order.push((ranks[&ticket], ticket));
            Placed::Gone
        });
        prop_assert!(order.is_sorted(), "{:?}", order);
        prop_assert_eq!(order.len(), ranks.len());
    }
}

#[test]
fn a_short_request_goes_before_a_long_one_until_that_has_waited_its_own_length() {
    let start = clock::now();
    let mut room = Room::new(RULES);
    let long = room.enter(guest(Class::Long, 0, 8000), start).unwrap();
    let soon = start + Duration::from_secs(7);
    let short = room.enter(guest(Class::Short, 0, 50), soon).unwrap();
    let late = start + Duration::from_secs(9);
    let last = room.enter(guest(Class::Short, 0, 50), late).unwrap();
    let mut order = Vec::new();
    room.wake(late, |ticket, _, _| {
        order.push(ticket);
        Placed::Gone
    });
    assert_eq!(order, [short, long, last]);
}

#[test]
fn tenants_take_turns_in_node_seconds_and_not_in_requests() {
    let now = clock::now();
    let mut room = Room::new(RoomRules {
        max_queue: 1000,
        ..RULES
    });
    // Tenant 1 floods with streams of 8 s; tenant 2 has some of 4 s, and comes after it.
    for _ in 0..40 {
        room.enter(guest(Class::Long, 1, 8000), now).unwrap();
    }
    for _ in 0..20 {
        room.enter(guest(Class::Long, 2, 4000), now).unwrap();
    }
    let mut went = [0u32; 3];
    for _ in 0..30 {
        let mut one = true;
        room.wake(now, |_, guest, _| {
            if !std::mem::take(&mut one) {
                return Placed::Full;
            }
            went[guest.tenant as usize] += 1;
            Placed::Gone
        });
    }
    assert_eq!(went, [0, 10, 20], "80 s each");
}

#[test]
fn a_tenant_is_charged_for_what_its_requests_were_and_saves_nothing_up() {
    let now = clock::now();
    let mut room = Room::new(RULES);
    let next = |room: &mut Room| {
        let mut tenant = None;
        room.wake(now, |_, guest, _| {
            if tenant.is_some() {
                return Placed::Full;
            }
            tenant = Some(guest.tenant);
            Placed::Gone
        });
        tenant.expect("somebody waits")
    };
    // Both seem small; one of tenant 1's was not.
    room.charge(&guest(Class::Long, 1, 100));
    room.correct(&guest(Class::Long, 1, 100), Duration::from_secs(60));
    for tenant in [1, 1, 2, 2] {
        room.enter(guest(Class::Long, tenant, 1000), now).unwrap();
    }
    let order: Vec<_> = (0..4).map(|_| next(&mut room)).collect();
    assert_eq!(order, [2, 2, 1, 1]);
    // Tenant 3 was away all the while, and starts where the last one stood, not at nothing.
    for tenant in [1, 1, 3, 3, 3] {
        room.enter(guest(Class::Long, tenant, 1000), now).unwrap();
    }
    let order: Vec<_> = (0..5).map(|_| next(&mut room)).collect();
    let before_its_third = order.iter().filter(|&&tenant| tenant == 1).count();
    assert_eq!((order[0], before_its_third), (3, 2), "{order:?}");
    assert_ne!(order[..3], [3, 3, 3], "what was not used is not saved up");
}

#[test]
fn the_wait_that_is_promised_is_the_work_before_it_over_the_places() {
    let now = clock::now();
    let mut room = Room::new(RULES);
    for _ in 0..4 {
        room.enter(guest(Class::Long, 0, 8000), now).unwrap();
    }
    let of = |class, ms| room.predicted_wait(&guest(class, 0, ms), 4, now);
    assert_eq!(of(Class::Short, 50), Duration::ZERO, "it goes before them");
    assert_eq!(of(Class::Long, 8000), Duration::from_secs(8));
}
