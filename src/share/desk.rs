//! What is written in the next letter, and what does the answer mean?
//!
//! One gateway's side of the exchange, without a clock and without Redis: the same code runs against
//! a real one and in thousands of simulated fleets that lose, repeat and reorder letters.

use super::dial::{Dial, millis};
use super::diary::{Diary, Sent};
use super::lessons::Lessons;
use super::letter::{Answer, Body, Chores, Lead, Letter, Row};
use super::report::{Leader, Neighbour, News, Report, Seen, Wish};
use super::wishes::Wishes;
use super::{Lesson, Record};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// What a fleet has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whoever said nothing for so long holds nothing any more.
    pub ttl: Duration,
    /// So many operations are remembered.
    pub most: NonZeroUsize,
    /// So many of their samples are shown to operators.
    pub window: usize,
}

/// A leader's word holds for so long: seed 000's.
const LEAD: Duration = Duration::from_secs(2);
/// Two clocks may run differently by this share before two lead.
const DOUBT: u32 = 10;
/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(10);
/// A gateway that said nothing for so long will not come back.
const FORGET: Duration = Duration::from_secs(600);
/// An operation unseen for so long is forgotten.
const UNSEEN: Duration = Duration::from_secs(24 * 3600);
/// So many operations go with one letter, each way.
const LIMIT: usize = 512;

/// One gateway's side.
#[derive(Debug)]
pub struct Desk {
    name: String,
    /// What we are called in the fleet: our name, and another one after we were taken for gone.
    id: String,
    lives: u64,
    nonce: String,
    token: String,
    terms: Terms,
    seq: u64,
    answered: u64,
    /// The last one that was taken, under the name we have now.
    taken: u64,
    epoch: String,
    floor: u64,
    cursor: u64,
    joining: bool,
    diary: Diary,
    lessons: Lessons,
    sent: Sent,
    wishes: Wishes,
    dial: Option<Dial>,
    /// When the last letter left.
    left: Option<Instant>,
    /// We lead: the term, and until when nobody else can.
    lead: Option<(u64, Instant)>,
    swept: Option<Instant>,
    /// Since when each gateway has written no other letter than this one.
    silent: BTreeMap<String, (u64, Instant)>,
}

impl Desk {
    /// A gateway that has not said anything yet. `chance` makes it another one with every start.
    #[must_use]
    pub fn new(id: &str, terms: Terms, chance: u64) -> Self {
        Self {
            name: id.to_owned(),
            id: id.to_owned(),
            lives: 0,
            nonce: format!("{chance:016x}"),
            token: format!("{:016x}", chance.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15),
            diary: Diary::new(id, terms.most),
            lessons: Lessons::new(id, terms.most),
            terms,
            seq: 0,
            answered: 0,
            taken: 0,
            epoch: String::new(),
            floor: 0,
            cursor: 0,
            joining: true,
            sent: Sent::new(),
            wishes: Wishes::default(),
            dial: None,
            left: None,
            lead: None,
            swept: None,
            silent: BTreeMap::new(),
        }
    }

    /// Writes the next letter. What the report brings only once stays here until it is answered.
    pub fn write(&mut self, report: Report, now: Instant) -> Letter {
        report
            .learned
            .into_iter()
            .for_each(|it| self.diary.note(it));
        let remembered = report.remembered.into_iter();
        remembered.for_each(|it| self.wishes.remember(it));
        let wishes = report.wishes.into_iter();
        wishes.for_each(|it| self.wishes.wish(it));
        let body = Body {
            profile: report.profile,
            leases: report.leases,
            rests: report.rests,
            at: self.dial.map(|dial| dial.not_before(now)),
            seen: report.seen,
            custom: report.custom,
        };
        let chores = self.leading(now).map(|fence| Chores {
            fence,
            sweep: self.is_time_to_sweep(now),
            bury: self.dead(now),
            unseen_ms: millis(UNSEEN),
            views: Some(report.views),
        });
        let (learned, sent) = self.diary.untold(LIMIT);
        self.sent = sent;
        self.left = Some(now);
        let turns = report.turns.into_iter();
        Letter {
            body: serde_json::to_string(&body).expect("numbers and text always become JSON"),
            learned,
            restore: self.wishes.restored(),
            turns: turns.map(|it| (it.name, it.many)).collect(),
            lead: Some(Lead {
                token: self.token.clone(),
                ms: millis(LEAD),
            }),
            chores,
            wishes: self.wishes.under_way(),
            ..self.plain()
        }
    }

    /// Writes the last letter: forget me.
    pub fn write_leave(&mut self, now: Instant) -> Letter {
        let (learned, sent) = self.diary.untold(LIMIT);
        self.sent = sent;
        self.lead = None;
        self.left = Some(now);
        Letter {
            body: "{}".to_owned(),
            leave: true,
            learned,
            wishes: self.wishes.under_way(),
            ..self.plain()
        }
    }

    fn plain(&mut self) -> Letter {
        self.seq += 1;
        Letter {
            id: self.id.clone(),
            seq: self.seq,
            epoch: self.epoch.clone(),
            nonce: format!("{}-{}", self.nonce, self.seq),
            taken: self.taken,
            floor: self.floor,
            cursor: self.cursor,
            heard: self.wishes.heard(),
            limit: LIMIT,
            most: self.terms.most.get() as u64,
            window: self.terms.window,
            ..Letter::default()
        }
    }

    fn is_time_to_sweep(&mut self, now: Instant) -> bool {
        let due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP);
        if due {
            self.swept = Some(now);
        }
        due
    }

    /// Whoever has been silent for too long, by our own clock.
    fn dead(&self, now: Instant) -> Vec<(String, u64)> {
        let silent = self.silent.iter();
        silent
            .filter(|(_, (_, since))| now.saturating_duration_since(*since) >= FORGET)
            .map(|(id, (seq, _))| (id.clone(), *seq))
            .collect()
    }

    fn note_silence(&mut self, answer: &Answer, now: Instant) {
        let others = answer.rows.iter().filter(|row| row.id != self.id);
        let silent = others.map(|row| {
            let known = self.silent.get(&row.id).filter(|(seq, _)| *seq == row.seq);
            let since = known.map_or(now, |(_, since)| *since);
            (row.id.clone(), (row.seq, since))
        });
        self.silent = silent.collect();
    }

    /// The term in which we lead now, if we do. Nobody else can: our word was counted from before
    /// the letter left, and its time in Redis from after it arrived.
    #[must_use]
    pub fn leading(&self, now: Instant) -> Option<u64> {
        self.lead
            .filter(|(_, until)| now < *until)
            .map(|(fence, _)| fence)
    }

    /// What we are called in the fleet.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads the answer to a letter; one to an older letter than the last answered says nothing.
    pub fn read(&mut self, letter: &Letter, answer: Answer, now: Instant) -> Option<News> {
        if letter.seq != self.seq || letter.seq <= self.answered {
            return None;
        }
        self.answered = letter.seq;
        self.floor = self.floor.max(answer.version);
        self.note_silence(&answer, now);
        let left = self.left.unwrap_or(now);
        self.dial = Some(Dial::new(answer.time, left, now));
        if answer.gone {
            // Taken for gone: we begin anew, under another name, and hear everything again.
            self.lives += 1;
            self.id = format!("{}~{}", self.name, self.lives);
            self.diary.begin_anew(&self.id);
            self.epoch.clear();
            self.cursor = 0;
            self.joining = true;
            self.lead = None;
            self.taken = 0;
            let wishes = self.wishes.read(letter, &answer);
            return Some(self.news(letter, &answer, (Vec::new(), wishes), now));
        }
        self.taken = letter.seq;
        let whole = self.joining;
        let lessons = self.lessons(&answer, whole);
        if answer.epoch == self.epoch || self.epoch.is_empty() {
            self.cursor = answer.cursor;
            self.joining &= answer.cursor < answer.version;
        } else {
            // The state was lost and begun anew: tell all of it again, and hear all of it again.
            self.diary.tell_again();
            self.cursor = 0;
        }
        self.epoch.clone_from(&answer.epoch);
        self.diary.told(&self.sent);
        let wishes = self.wishes.arrived(letter, &answer);
        Some(self.news(letter, &answer, (lessons, wishes), now))
    }

    fn lessons(&mut self, answer: &Answer, whole: bool) -> Vec<Lesson> {
        let mut lessons = Vec::new();
        for (key, text) in &answer.records {
            let Some(record) = Record::from_text(text) else {
                continue;
            };
            let (origin, own) = self.diary.own(key);
            let joining = whole.then_some(origin.as_str());
            if let Some(mut lesson) = self.lessons.take(key, &record, joining) {
                if whole {
                    lesson.count = lesson.count.saturating_add(own);
                }
                lessons.push(lesson);
            }
        }
        lessons
    }

    fn news(
        &mut self,
        letter: &Letter,
        answer: &Answer,
        (lessons, wishes): (Vec<Lesson>, Vec<Wish>),
        now: Instant,
    ) -> News {
        self.note_leader(answer, now);
        let rows = answer.rows.iter().filter(|row| row.id != self.id);
        News {
            others: rows.filter_map(|row| self.neighbour(row, now)).collect(),
            leader: answer.leader.as_ref().map(|(gateway, _, fence)| Leader {
                gateway: gateway.clone(),
                lasting: answer.lasting,
                fence: *fence,
            }),
            lessons,
            wishes,
            turns: letter.granted(answer),
        }
    }

    fn note_leader(&mut self, answer: &Answer, now: Instant) {
        let ours = answer
            .leader
            .as_ref()
            .filter(|(id, token, _)| *id == self.id && *token == self.token);
        let left = self.left.unwrap_or(now);
        self.lead = ours.map(|(_, _, fence)| (*fence, left + (LEAD - LEAD / DOUBT)));
    }

    /// What another gateway said, unless it is too old. A word from the future comes from a clock
    /// that was set back, and is as old as any; and no clock makes a word young that we have known for
    /// long.
    fn neighbour(&self, row: &Row, now: Instant) -> Option<Neighbour> {
        let age = Duration::from_millis(u64::try_from(row.age).ok()?);
        let body: Body = serde_json::from_str(&row.body).ok()?;
        let heard = self.silent.get(&row.id).map_or(now, |(_, since)| *since);
        let silent = now.saturating_duration_since(heard);
        (age.max(silent) <= self.terms.ttl).then_some(Neighbour {
            gateway: row.id.clone(),
            age,
            seen: self.seen(&body, age, now),
            profile: body.profile,
            leases: body.leases,
            rests: body.rests,
            custom: body.custom,
        })
    }

    /// What it saw, made older by the time that its letter was under way, by the one clock of Redis.
    fn seen(&self, body: &Body, age: Duration, now: Instant) -> Vec<Seen> {
        let (Some(at), Some(dial)) = (body.at, self.dial) else {
            return Vec::new();
        };
        let late = dial.not_after(now).saturating_sub(at);
        let late = late.saturating_sub(millis(age));
        let seen = body.seen.iter().take(Report::SIGHTS);
        seen.map(|it| Seen {
            age: it.age.saturating_add(late),
            ms: it.ms.saturating_sub(late),
            ..it.clone()
        })
        .collect()
    }
}
