//! Thousands of fleets over the production exchange code: gateways that come, crash, freeze and
//! leave, letters that are lost, late, doubled and overtaken, a Redis that loses everything or one
//! key. Afterwards it is quiet for a while, and then every ledger must be exact.

use crate::book::{Book, Loss};
use crate::sights::{Sighted, Sights, all_agree};
use fastrand::Rng;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use twolane::model::{Operation, clock};
use twolane::share::{
    About, Desk, Held, Learned, Letter, Matter, Neighbour, News, Report, Terms, Wish,
};

const TTL: Duration = Duration::from_secs(2);
const STEP: u64 = 250;

struct Gateway {
    desk: Desk,
    id: String,
    leases: BTreeMap<String, (u32, u32)>,
    taken: u64,
    fresh: Vec<Learned>,
    wishes: Vec<Wish>,
    /// Samples of each key that this gateway's learner would count.
    known: HashMap<String, u64>,
    heard: HashSet<u64>,
    /// What operators wished last, as it came.
    done: BTreeMap<About, String>,
    news: News,
    sights: Sights,
    frozen: u64,
}

struct World {
    dice: Rng,
    book: Book,
    start: Instant,
    /// Milliseconds on every gateway's clock, and how far Redis' own is off.
    now: u64,
    skew: i64,
    gateways: Vec<Gateway>,
    names: u64,
    samples: u64,
    /// Samples ever taken, per key.
    truth: HashMap<String, u64>,
    /// Letters that are still under way.
    late: Vec<Letter>,
    fences: Vec<u64>,
    crashed: bool,
    buried: bool,
    lost: Option<Loss>,
    stepped: bool,
    /// All that anybody ever saw of plugins.
    seen: HashSet<Sighted>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Rng::with_seed(seed),
            book: Book::default(),
            start: clock::now(),
            now: 10_000_000,
            skew: 0,
            gateways: Vec::new(),
            names: 0,
            samples: 0,
            truth: HashMap::new(),
            late: Vec::new(),
            fences: Vec::new(),
            crashed: false,
            buried: false,
            lost: None,
            stepped: false,
            seen: HashSet::new(),
        };
        for _ in 0..world.dice.usize(2..5) {
            world.join();
        }
        world
    }

    fn join(&mut self) {
        self.names += 1;
        let id = format!("g{}", self.names);
        let terms = Terms {
            ttl: TTL,
            most: NonZeroUsize::new(64).unwrap(),
            window: 5,
        };
        self.gateways.push(Gateway {
            desk: Desk::new(&id, terms, self.dice.u64(..)),
            id,
            leases: BTreeMap::new(),
            taken: 0,
            fresh: Vec::new(),
            wishes: Vec::new(),
            known: HashMap::new(),
            heard: HashSet::new(),
            done: BTreeMap::new(),
            news: News::default(),
            sights: Sights::new(&format!("g{}", self.names), self.instant()),
            frozen: 0,
        });
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn server_now(&self) -> u64 {
        self.now.saturating_add_signed(self.skew)
    }

    /// Something happens to a gateway's requests.
    fn work(&mut self, at: usize) {
        let key = format!("op{}", self.dice.u8(0..4));
        let node = format!("n{}", self.dice.u8(0..3));
        let roll = self.dice.u8(0..10);
        let now = self.instant();
        if self.dice.u8(0..3) == 0 {
            let place = (0, self.dice.usize(0..2));
            let present = self.dice.bool();
            let seen = self.gateways[at].sights.see(place, present, now);
            self.seen.insert(seen);
        }
        let gateway = &mut self.gateways[at];
        match roll {
            0..=4 => {
                let many = self.dice.u64(1..6);
                let samples: Vec<_> = (self.samples..self.samples + many).collect();
                self.samples += many;
                *self.truth.entry(key.clone()).or_default() += many;
                *gateway.known.entry(key.clone()).or_default() += many;
                gateway.fresh.push(Learned {
                    operation: Operation::new(&key),
                    samples,
                    long: false,
                });
            }
            5..=6 => {
                gateway.leases.entry(node).or_default().0 += 1;
                gateway.taken += 1;
            }
            7 => {
                gateway.leases.entry(node).or_default().1 += 1;
                gateway.taken += 1;
            }
            8 => {
                gateway.leases.pop_first();
            }
            _ => {
                let wishes = [
                    (Matter::State, ["ready", "drain", "maint"]),
                    (Matter::Weight, ["7/1", "1/1", "2/1"]),
                    (Matter::Pin, ["long", "short", Wish::NONE]),
                ];
                let roll = self.dice.usize(0..9);
                let (matter, words) = wishes[roll / 3];
                let wish = Wish::new(matter, &node, words[roll % 3]);
                gateway.done.insert(wish.about.clone(), wish.word.clone());
                gateway.wishes.push(wish);
            }
        }
    }

    fn report(gateway: &mut Gateway) -> Report {
        let leases = gateway.leases.iter();
        Report {
            gateway: gateway.id.clone(),
            leases: leases
                .map(|(node, (short, long))| Held {
                    node: node.as_str().into(),
                    short: *short,
                    long: *long,
                    taken: gateway.taken,
                    plugins: Vec::new(),
                })
                .collect(),
            learned: std::mem::take(&mut gateway.fresh),
            wishes: std::mem::take(&mut gateway.wishes),
            ..Report::default()
        }
    }

    /// One exchange; `faulty`: the network may do what it likes with it.
    fn exchange(&mut self, at: usize, faulty: bool) {
        let now = self.instant();
        let gateway = &mut self.gateways[at];
        let report = Report {
            seen: gateway.sights.tell(now),
            ..Self::report(gateway)
        };
        let letter = gateway.desk.write(report, now);
        let fate = if faulty { self.dice.u8(0..12) } else { 11 };
        match fate {
            0 => return,
            1 => {
                self.late.push(letter);
                return;
            }
            2 => {
                self.carry(&letter);
                return;
            }
            3 => {
                self.carry(&letter);
                self.late.push(letter.clone());
            }
            4 => {
                // It waits in the server's queue behind others, and its answer comes back in time.
                self.deliver_late();
            }
            _ => {}
        }
        let answer = self.carry(&letter);
        let gateway = &mut self.gateways[at];
        let news = gateway.desk.read(&letter, answer, now);
        self.buried |= gateway.desk.id() != gateway.id;
        if let Some(news) = news {
            gateway.sights.hear(&news.others, now);
            gateway.take(news, self.lost.is_some() || self.buried);
        }
        self.check_sights(at);
    }

    /// Nothing that was seen before overrides what a gateway saw itself: not by a late letter, nor by
    /// a clock of Redis that is wrong, as long as it is wrong alike for all.
    fn check_sights(&self, at: usize) {
        if !self.stepped {
            let sights = &self.gateways[at].sights;
            sights.check(&self.seen, self.instant());
        }
    }

    fn carry(&mut self, letter: &Letter) -> twolane::share::Answer {
        let answer = self.book.exchange(letter, self.server_now());
        if answer.done {
            self.fences.push(letter.chores.as_ref().unwrap().fence);
        }
        answer
    }

    fn deliver_late(&mut self) {
        while !self.late.is_empty() {
            let at = self.dice.usize(0..self.late.len());
            let letter = self.late.swap_remove(at);
            self.carry(&letter);
            if self.dice.bool() {
                return;
            }
        }
    }

    fn leaders(&self) -> Vec<&str> {
        let now = self.instant();
        let leading = self
            .gateways
            .iter()
            .filter(|it| it.desk.leading(now).is_some());
        leading.map(|it| it.desk.id()).collect()
    }

    fn check_leaders(&self) {
        // A word that was lost with its key may still be believed by who had it; the fence holds.
        if self.lost.is_none() && !self.stepped {
            let leaders = self.leaders();
            assert!(leaders.len() <= 1, "two lead: {leaders:?}");
        }
    }

    fn trouble(&mut self, class: u8) {
        match self.dice.u8(0..40) {
            0 => self.join(),
            1 if self.gateways.len() > 2 && class & 1 == 1 => {
                let at = self.dice.usize(0..self.gateways.len());
                self.gateways.swap_remove(at);
                self.crashed = true;
            }
            2 if self.gateways.len() > 2 && class & 1 == 1 => {
                let at = self.dice.usize(0..self.gateways.len());
                let mut gateway = self.gateways.swap_remove(at);
                let now = self.instant();
                let report = Self::report(&mut gateway);
                // What it has not told is told with the last letter.
                let _ = gateway.desk.write(report, now);
                let letter = gateway.desk.write_leave(now);
                self.carry(&letter);
                self.crashed = true;
            }
            3..=5 => {
                let at = self.dice.usize(0..self.gateways.len());
                self.gateways[at].frozen = self.now + self.dice.u64(0..20_000);
            }
            8 if class & 1 == 1 => {
                // So long that the others bury it. What it had told and heard no answer to may count
                // twice then.
                let at = self.dice.usize(0..self.gateways.len());
                self.gateways[at].frozen = self.now + 700_000;
                self.crashed = true;
            }
            9 if class & 1 == 1 => {
                self.now += 300_000;
            }
            6 if class & 2 == 2 => {
                // One run loses one kind of thing, once or more often.
                let kinds = [
                    Loss::All,
                    Loss::Latest,
                    Loss::Meta,
                    Loss::Gateways,
                    Loss::Wishes,
                    Loss::Leader,
                    Loss::Changed,
                ];
                let loss = *self
                    .lost
                    .get_or_insert(kinds[self.dice.usize(0..kinds.len())]);
                self.book.lose(loss);
            }
            10..=12 => self.book.save(),
            7 if class & 4 == 4 => {
                self.skew = self.dice.i64(-3_600_000..3_600_000);
                self.stepped = true;
            }
            _ => {}
        }
    }

    fn run(&mut self, class: u8) {
        for _ in 0..self.dice.usize(20..120) {
            self.now += self.dice.u64(1..STEP);
            self.trouble(class);
            let at = self.dice.usize(0..self.gateways.len());
            self.work(at);
            if self.gateways[at].frozen <= self.now {
                self.exchange(at, true);
            }
            if self.dice.u8(0..8) == 0 {
                self.deliver_late();
            }
            self.check_leaders();
        }
        self.late.clear();
        for _ in 0..20 {
            self.now += STEP;
            for at in 0..self.gateways.len() {
                self.exchange(at, false);
                self.check_leaders();
            }
        }
    }

    fn check(&self) {
        for gateway in &self.gateways {
            self.check_leases(gateway);
            for (key, truth) in &self.truth {
                let known = gateway.known.get(key).copied().unwrap_or(0);
                let told = self
                    .book
                    .learned
                    .get(key)
                    .map_or(0, twolane::share::Record::count);
                // Whoever was buried may have told what it heard no answer to: that counts twice.
                if !self.crashed && !self.buried {
                    let lost = self.lost;
                    assert_eq!(
                        known, *truth,
                        "{} counts {key} {lost:?} told={told}",
                        gateway.id
                    );
                } else if self.lost.is_none() {
                    assert_eq!(known, told, "{} counts {key}", gateway.id);
                    assert!(told <= *truth || self.buried, "{key} was counted twice");
                }
            }
            let pinned = |done: &BTreeMap<About, String>| {
                let mut done = done.clone();
                done.retain(|_, word| word != Wish::NONE);
                done
            };
            let first = pinned(&self.gateways[0].done);
            let (lost, told) = (self.lost, &self.book.wishes);
            assert_eq!(
                pinned(&gateway.done),
                first,
                "{} does other things {lost:?} {told:?}",
                gateway.id
            );
        }
        let sights = self
            .gateways
            .iter()
            .map(|it| &it.sights)
            .collect::<Vec<_>>();
        all_agree(&sights, &self.seen, self.instant());
        assert_eq!(self.leaders().len(), 1, "somebody leads, and nobody beside");
        let leader = self.leaders()[0];
        for gateway in &self.gateways {
            let told = gateway.news.leader.as_ref().map(|it| it.gateway.as_str());
            assert_eq!(told, Some(leader), "{} follows another", gateway.id);
        }
        if self.lost.is_none() {
            assert!(
                self.fences.is_sorted(),
                "an old term acted: {:?}",
                self.fences
            );
        }
    }

    fn check_leases(&self, gateway: &Gateway) {
        let others = self.gateways.iter().filter(|other| other.id != gateway.id);
        let truth: BTreeMap<_, _> = others
            .map(|it| (it.desk.id().to_owned(), it.leases.clone()))
            .collect();
        let plain = |other: &Neighbour| {
            let leases = other.leases.iter();
            leases
                .map(|held| (held.node.to_string(), (held.short, held.long)))
                .collect::<BTreeMap<_, _>>()
        };
        let told = gateway.news.others.iter();
        let told: BTreeMap<_, _> = told.map(|it| (it.gateway.clone(), plain(it))).collect();
        assert_eq!(told, truth, "{} sees other leases", gateway.id);
    }
}

impl Gateway {
    fn take(&mut self, news: News, lossy: bool) {
        for lesson in &news.lessons {
            let key = lesson.operation.as_str().to_owned();
            let known = self.known.entry(key).or_default();
            assert!(lesson.samples.len() as u64 <= lesson.count);
            if lesson.whole {
                *known = (*known).max(lesson.count);
            } else {
                *known += lesson.count;
            }
            for ns in &lesson.samples {
                let new = self.heard.insert(*ns);
                assert!(new || lesson.whole || lossy, "{} heard {ns} twice", self.id);
            }
        }
        for wish in &news.wishes {
            self.done.insert(wish.about.clone(), wish.word.clone());
        }
        self.news = news;
    }
}

/// Ten thousand fleets; `TWOLANE_SEED` plays one of them alone.
#[test]
fn ten_thousand_fleets_come_to_rest_with_exact_ledgers() {
    let only = std::env::var("TWOLANE_SEED").ok();
    let only = only.and_then(|seed| seed.parse::<u64>().ok());
    let seeds = only.map_or(0..10_000, |seed| seed..seed + 1);
    let threads = std::thread::available_parallelism().map_or(1, |many| many.get() as u64);
    let (crashed, lost) = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let seeds = seeds.clone();
                scope.spawn(move || play(seeds.filter(|seed| seed % threads == part)))
            })
            .collect();
        let sums = parts.into_iter().map(|part| part.join().unwrap());
        sums.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    });
    if only.is_none() {
        assert!(
            crashed > 1000 && lost > 1000,
            "{crashed} crashed, {lost} lost"
        );
    }
}

/// Plays these fleets; how many of them crashed, and how many lost something.
fn play(seeds: impl Iterator<Item = u64>) -> (u32, u32) {
    let (mut crashed, mut lost) = (0, 0);
    for seed in seeds {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run((seed % 8) as u8);
            world.check();
            (world.crashed, world.lost.is_some())
        });
        let Ok((died, gone)) = played else {
            panic!("fleet {seed}: play it alone with TWOLANE_SEED={seed}");
        };
        crashed += u32::from(died);
        lost += u32::from(gone);
    }
    (crashed, lost)
}

/// Every fifth letter is lost; each lease is told again with each of them.
#[test]
fn a_stream_of_thirty_minutes_keeps_its_lease_and_then_it_is_gone() {
    let mut world = World::new(7);
    world.gateways.truncate(2);
    let held = BTreeMap::from([("n1".to_owned(), (0, 1))]);
    world.gateways[0].leases = held.clone();
    let seen = |world: &World| {
        let others = &world.gateways[1].news.others;
        let leases = others.iter().flat_map(|other| &other.leases);
        leases.map(|held| held.long).sum::<u32>()
    };
    for step in 0..30 * 60 * 1000 / STEP {
        world.now += STEP;
        if step % 5 != 4 {
            world.exchange(0, false);
        }
        world.exchange(1, false);
        assert_eq!(seen(&world), 1, "step {step}");
    }
    world.gateways[0].leases.clear();
    world.exchange(0, false);
    world.exchange(1, false);
    assert_eq!(seen(&world), 0);
}
