//! What happens under the lock of a waiting room?

use super::place::{Caps, Found, Known, Seat, Wish};
use super::waiter::{LOOK, Stay, Waiter};
use crate::admit::{Guest, Pace, Placed, Room, RoomRules, Ticket};
use crate::config;
use crate::model::{Class, clock};
use crate::nodes::{Limits, NoCandidate, Node};
use crate::observe::{Metrics, WaitMetrics};
use crate::select::Why;
use crate::upstream::pool::Pool;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How a request was received.
#[derive(Debug)]
pub enum Received {
    /// It goes now.
    Seated(Box<Seat>),
    /// It waits.
    Waits(Waiter),
    /// Too many wait already; try again after about so long.
    Refused(Duration),
    /// No node may serve it, full or not.
    Nobody(NoCandidate),
}

/// What a request that waited is told.
pub(super) type Reply = Result<Box<Seat>, NoCandidate>;

/// The waiting room of one pool.
pub struct WaitingRoom {
    pub(super) state: Mutex<State>,
    /// How many gateways share the caps.
    pub(super) gateways: Arc<AtomicU16>,
    pub(super) metrics: WaitMetrics,
}

pub(super) struct State {
    pub(super) room: Room,
    known: Known,
    pub(super) waiting: HashMap<Ticket, Held>,
    looked: Instant,
}

/// What is needed to seat a request that waits.
pub(super) struct Held {
    pool: Arc<Pool>,
    wish: Wish,
    since: Instant,
    reply: oneshot::Sender<Reply>,
}

/// Leases that nobody fetched. To be dropped when the room is not locked: their end locks it.
type Unfetched = SmallVec<[Reply; 1]>;

impl WaitingRoom {
    pub(super) fn new(settings: &config::Pool, all: &Metrics, gateways: Arc<AtomicU16>) -> Self {
        let now = clock::now();
        let state = State {
            room: Room::new(rules(settings)),
            known: Known {
                pace: Pace::new(now),
                caps: Caps {
                    on: true,
                    plugins: Vec::new(),
                },
            },
            waiting: HashMap::new(),
            looked: now,
        };
        Self {
            state: Mutex::new(state),
            gateways,
            metrics: all.waits(&settings.name),
        }
    }

    pub(super) fn set(self: &Arc<Self>, settings: &config::Pool, on: bool) {
        self.change(|state| {
            state.room.set_rules(rules(settings));
            state.known.caps = Caps {
                on,
                plugins: settings.waiting.plugin_caps.clone(),
            };
        });
    }

    /// What a request of this plugin must fit into now; none where a reload took the caps away.
    pub(in crate::upstream) fn limits_for(&self, plugin: &str, io_bound: bool) -> Option<Limits> {
        let state = self.state.lock();
        let caps = &state.known.caps;
        caps.on.then(|| self.limits(caps, plugin, io_bound))
    }

    /// Requests of a class that wait now.
    #[must_use]
    pub fn waiting(&self, class: Class) -> usize {
        self.state.lock().room.waiting(class)
    }

    /// How many of the places of these nodes long requests leave to short ones; none when places
    /// are not limited, or not on every node.
    #[must_use]
    pub fn reserve(&self, nodes: &[Arc<Node>]) -> Option<u32> {
        let places = self.places(nodes)?;
        Some(self.state.lock().known.pace.reserve(places, clock::now()))
    }

    /// A request comes: a place for it now, or in its turn.
    pub fn receive(self: &Arc<Self>, pool: &Arc<Pool>, wish: Wish) -> Received {
        let mut unfetched = Unfetched::new();
        let received = {
            let state = &mut *self.state.lock();
            let now = clock::now();
            let class = wish.request.class;
            if wish.held && wish.request.attempt == 1 {
                state.known.pace.note_came(class, now);
            }
            // Who waits goes first: a place may be free since somebody looked.
            self.wake(state, now, &mut unfetched);
            let guest = state.known.guest(pool, &wish);
            let received = match self.find(&state.known, (pool, &wish, &guest), (false, now)) {
                Found::Seat(seat) => {
                    if wish.held {
                        state.room.charge(&guest);
                        self.metrics.waited(class, Duration::ZERO);
                    }
                    Received::Seated(seat)
                }
                Found::Nobody(refused) => Received::Nobody(refused),
                Found::Full | Found::Shut => self.hold(state, (pool, wish, guest), now),
            };
            self.show(state);
            received
        };
        drop(unfetched);
        received
    }

    fn hold(
        self: &Arc<Self>,
        state: &mut State,
        (pool, wish, guest): (&Arc<Pool>, Wish, Guest),
        now: Instant,
    ) -> Received {
        let Ok(ticket) = state.room.enter(guest, now) else {
            let nodes = pool.nodes();
            let in_use: u32 = nodes.iter().map(|node| node.total_in_flight()).sum();
            let places = match &wish.quota {
                Some(quota) => self.share_of(quota),
                None => self.places(&nodes).unwrap_or(in_use),
            };
            self.metrics.refused();
            return Received::Refused(state.room.predicted_wait(&guest, places, now));
        };
        let (reply, answer) = oneshot::channel();
        let held = Held {
            pool: Arc::clone(pool),
            since: now,
            wish,
            reply,
        };
        state.waiting.insert(ticket, held);
        Received::Waits(Waiter {
            due: state.room.due(ticket).unwrap_or(now),
            room: Arc::clone(self),
            ticket,
            answer,
        })
    }

    /// A lease ended.
    pub(super) fn ended(self: &Arc<Self>, stay: &Stay) {
        self.change(|state| {
            if let Some(guest) = &stay.guest {
                let lasted = clock::now().saturating_duration_since(stay.since);
                state.known.pace.note_stay(guest.class, lasted);
                state.room.correct(guest, lasted);
            }
        });
    }

    /// Nobody said that anything changed, but it may have.
    pub(super) fn look(self: &Arc<Self>, due: Instant) {
        let now = clock::now();
        let looked = self.state.lock().looked;
        // All who wait look; one of them is enough.
        if now >= due || now.saturating_duration_since(looked) >= LOOK / 2 {
            self.change(|state| state.looked = now);
        }
    }

    /// Changes something, and lets go whoever can now.
    fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> T {
        let mut unfetched = Unfetched::new();
        let out = {
            let state = &mut *self.state.lock();
            let out = act(state);
            self.wake(state, clock::now(), &mut unfetched);
            self.show(state);
            out
        };
        drop(unfetched);
        out
    }

    pub(super) fn show(&self, state: &State) {
        for class in Class::ALL {
            self.metrics.waiting(class, state.room.waiting(class));
        }
    }

    fn wake(self: &Arc<Self>, state: &mut State, now: Instant, unfetched: &mut Unfetched) {
        let State {
            room,
            known,
            waiting,
            ..
        } = state;
        room.wake(now, |ticket, guest, overdue| {
            let Some(held) = waiting.remove(&ticket) else {
                return Placed::Gone;
            };
            let found = self.find(known, (&held.pool, &held.wish, guest), (overdue, now));
            let reply = match found {
                Found::Seat(mut seat) => {
                    let waited = now.saturating_duration_since(held.since);
                    self.metrics.waited(guest.class, waited);
                    seat.waited = waited;
                    if seat.pick.why != Why::Overdue {
                        seat.pick.why = Why::AfterWaiting;
                    }
                    Ok(seat)
                }
                Found::Nobody(refused) => Err(refused),
                Found::Full => {
                    waiting.insert(ticket, held);
                    return Placed::Full;
                }
                Found::Shut => {
                    waiting.insert(ticket, held);
                    return Placed::Shut;
                }
            };
            if let Err(nobody_waits) = held.reply.send(reply) {
                unfetched.push(nobody_waits);
            }
            Placed::Gone
        });
    }
}

fn rules(settings: &config::Pool) -> RoomRules {
    RoomRules {
        max_hold: settings.waiting.max_hold,
        max_queue: settings.waiting.max_queue,
    }
}

impl fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingRoom").finish_non_exhaustive()
    }
}
