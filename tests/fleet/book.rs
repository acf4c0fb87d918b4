//! The script's part, played in memory: what `exchange.lua` does, said a second time. `script.rs`
//! plays the same letters to both and compares; `sim.rs` builds thousands of fleets on this one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use twolane::share::{About, Answer, Chores, Entry, Letter, Record, Row};

#[derive(Debug, Default, Clone)]
pub(crate) struct Book {
    /// What was on the disk at some time.
    pub(crate) saved: Option<Box<Book>>,
    pub(crate) epoch: Option<String>,
    pub(crate) version: u64,
    pub(crate) graves: BTreeMap<String, u64>,
    pub(crate) gateways: BTreeMap<String, Told>,
    pub(crate) wishes: BTreeMap<About, (u64, String)>,
    pub(crate) turns: BTreeMap<String, u64>,
    pub(crate) leader: Option<Word>,
    pub(crate) learned: BTreeMap<String, Record>,
    pub(crate) changed: BTreeMap<String, u64>,
    pub(crate) seen: BTreeMap<String, u64>,
    pub(crate) long: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Told {
    at: u64,
    seq: u64,
    wished: u64,
    cursor: u64,
    body: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Word {
    id: String,
    token: String,
    fence: u64,
    until: u64,
}

/// Which keys are lost at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    All,
    /// What was written since it was last saved.
    Latest,
    Meta,
    Gateways,
    Wishes,
    Leader,
    Learned,
    Changed,
}

impl Book {
    pub(crate) fn lose(&mut self, loss: Loss) {
        match loss {
            Loss::All => *self = Self::default(),
            Loss::Latest => {
                let saved = self.saved.take();
                *self = saved.map_or_else(Self::default, |saved| *saved);
            }
            Loss::Meta => {
                (self.epoch, self.version) = (None, 0);
                self.graves.clear();
            }
            Loss::Gateways => self.gateways.clear(),
            Loss::Wishes => self.wishes.clear(),
            Loss::Leader => self.leader = None,
            Loss::Learned => self.learned.clear(),
            Loss::Changed => self.changed.clear(),
        }
    }

    pub(crate) fn save(&mut self) {
        self.saved = None;
        self.saved = Some(Box::new(self.clone()));
    }

    /// One letter at a time of the server's clock, in milliseconds.
    pub(crate) fn exchange(&mut self, letter: &Letter, now: u64) -> Answer {
        let told = self.gateways.get(&letter.id).cloned();
        let (seq, mut wished) = told.map_or((0, 0), |told| (told.seq, told.wished));
        let gone = self.graves.contains_key(&letter.id);
        if seq < letter.taken && !gone {
            self.epoch = None;
        }
        let begun = || format!("{}:{now}", letter.nonce);
        let epoch = self.epoch.get_or_insert_with(begun);
        let epoch = epoch.clone();
        self.version = self.version.max(letter.floor);
        let fresh = letter.seq > seq && !gone;
        if fresh {
            self.wish(letter, &mut wished);
            if letter.leave {
                self.bury(&letter.id, now);
            } else {
                let told = Told {
                    at: now,
                    seq: letter.seq,
                    wished,
                    cursor: letter.cursor,
                    body: letter.body.clone(),
                };
                self.gateways.insert(letter.id.clone(), told);
            }
            for entry in &letter.learned {
                self.learn(letter, entry, now);
            }
        }
        self.lead(letter, now);
        let done = self.chores(letter, now);
        let mut turns = Vec::new();
        for (name, many) in &letter.turns {
            let next = self.turns.entry(name.clone()).or_default();
            turns.push(*next);
            *next += many;
        }
        for key in self.learned.keys().cloned().collect::<Vec<_>>() {
            if self.changed.len() < self.learned.len() && !self.changed.contains_key(&key) {
                let version = self.bump();
                self.changed.insert(key, version);
            }
        }
        let (records, cursor) = self.news(letter);
        let wishes = self.wishes.iter();
        let wishes: Vec<_> = wishes
            .map(|(about, (version, word))| (about.clone(), *version, word.clone()))
            .collect();
        // Whatever differs when they do.
        let digest = format!("{wishes:?}");
        Answer {
            time: now,
            epoch,
            version: self.version,
            gone,
            cursor,
            leader: self
                .leader
                .as_ref()
                .map(|word| (word.id.clone(), word.token.clone(), word.fence)),
            lasting: Duration::from_millis(self.leader.as_ref().map_or(0, |word| word.until - now)),
            rows: self
                .gateways
                .iter()
                .map(|(id, told)| Row {
                    id: id.clone(),
                    age: now as i64 - told.at as i64,
                    seq: told.seq,
                    body: told.body.clone(),
                })
                .collect(),
            records,
            wishes: if digest == letter.heard {
                Vec::new()
            } else {
                wishes
            },
            digest,
            turns,
            done,
        }
    }

    fn bump(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn wish(&mut self, letter: &Letter, wished: &mut u64) {
        for (about, word, version) in &letter.restore {
            self.version = self.version.max(*version);
            let wished = (*version, word.clone());
            if self.wishes.get(about).is_none_or(|known| *known < wished) {
                self.wishes.insert(about.clone(), wished);
            }
        }
        for (n, about, word) in &letter.wishes {
            if n > wished {
                *wished = *n;
                let version = self.bump();
                self.wishes.insert(about.clone(), (version, word.clone()));
            }
        }
    }

    fn learn(&mut self, letter: &Letter, entry: &Entry, now: u64) {
        if !self.learned.contains_key(&entry.key) && self.learned.len() as u64 >= letter.most {
            let oldest = self
                .seen
                .iter()
                .min_by_key(|(key, at)| (**at, (*key).clone()));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.forget(&key);
            }
        }
        let mut record = self.learned.get(&entry.key).cloned().unwrap_or_default();
        let heard = self.gateways.values().map(|told| told.cursor).min();
        let changed = self.changed.get(&entry.key).copied().unwrap_or(0);
        let by_all = changed <= heard.unwrap_or(u64::MAX);
        let mut totals = Vec::new();
        for (origin, total) in &record.totals {
            let gateway = origin.split('.').next().unwrap();
            let buried = self.graves.contains_key(gateway);
            if gateway != letter.id && buried && by_all {
                record.base += total;
            } else {
                totals.push((origin.clone(), *total));
            }
        }
        let known = record
            .totals
            .iter()
            .find(|(origin, _)| *origin == entry.origin);
        let new = entry
            .total
            .saturating_sub(known.map_or(0, |(_, total)| *total));
        if new == 0 {
            return;
        }
        match totals
            .iter_mut()
            .find(|(origin, _)| *origin == entry.origin)
        {
            Some((_, total)) => *total = entry.total,
            None => totals.push((entry.origin.clone(), entry.total)),
        }
        record.totals = totals;
        let skip = entry.samples.len().saturating_sub(new as usize);
        for ns in &entry.samples[skip..] {
            record.latest.push((entry.origin.clone(), *ns));
            record.most = record.most.max(*ns);
        }
        let over = record.latest.len().saturating_sub(Record::LATEST);
        record.latest.drain(..over);
        record.ends = entry.ends.clone();
        record.long = entry.long;
        self.learned.insert(entry.key.clone(), record);
        let version = self.bump();
        self.changed.insert(entry.key.clone(), version);
        self.seen.insert(entry.key.clone(), now);
        match entry.long {
            true => self.long.insert(entry.key.clone()),
            false => self.long.remove(&entry.key),
        };
    }

    fn bury(&mut self, id: &str, now: u64) {
        self.gateways.remove(id);
        self.graves.insert(id.to_owned(), now);
    }

    fn forget(&mut self, key: &str) {
        self.learned.remove(key);
        self.changed.remove(key);
        self.seen.remove(key);
        self.long.remove(key);
    }

    fn lead(&mut self, letter: &Letter, now: u64) {
        self.leader = self.leader.take().filter(|word| word.until > now);
        if let Some(lead) = &letter.lead {
            match &mut self.leader {
                Some(word) if word.id == letter.id && word.token == lead.token => {
                    word.until = now + lead.ms;
                }
                None if !letter.leave => {
                    let fence = self.bump();
                    self.leader = Some(Word {
                        id: letter.id.clone(),
                        token: lead.token.clone(),
                        fence,
                        until: now + lead.ms,
                    });
                }
                _ => {}
            }
        }
        let leaves = |word: &Word| letter.leave && word.id == letter.id;
        let most = letter.lead.as_ref().map_or(u64::MAX, |lead| 2 * lead.ms);
        let sound = |word: &Word| word.until - now <= most;
        let word = self.leader.take();
        self.leader = word.filter(|word| !leaves(word) && sound(word));
    }

    fn chores(&mut self, letter: &Letter, now: u64) -> bool {
        let (Some(chores), Some(lead), Some(word)) = (&letter.chores, &letter.lead, &self.leader)
        else {
            return false;
        };
        let ours = (&word.id, &word.token, word.fence) == (&letter.id, &lead.token, chores.fence);
        if ours && chores.sweep {
            self.sweep(letter, chores, now);
        }
        ours
    }

    fn sweep(&mut self, letter: &Letter, chores: &Chores, now: u64) {
        for (id, seq) in &chores.bury {
            if self.gateways.get(id).is_some_and(|told| told.seq == *seq) {
                self.bury(id, now);
            }
        }
        let old: Vec<_> = self
            .seen
            .iter()
            .map(|(key, at)| (*at, key.clone()))
            .collect();
        let mut old: Vec<_> = old
            .into_iter()
            .filter(|(at, _)| (*at as i64) < now as i64 - chores.unseen_ms as i64)
            .collect();
        old.sort();
        for (_, key) in old.into_iter().take(200) {
            self.forget(&key);
        }
        if self.learned.len() as u64 > self.seen.len() as u64 + letter.most {
            self.learned.clear();
            self.changed.clear();
            self.seen.clear();
            self.long.clear();
        }
        let learned = &self.learned;
        self.long.retain(|key| learned.contains_key(key));
    }

    fn news(&self, letter: &Letter) -> (Vec<(String, String)>, u64) {
        let mut fresh: Vec<_> = self
            .changed
            .iter()
            .filter(|(_, version)| **version > letter.cursor)
            .map(|(key, version)| (*version, key.clone()))
            .collect();
        fresh.sort();
        fresh.truncate(letter.limit);
        let cursor = match fresh.last() {
            Some((version, _)) if fresh.len() == letter.limit => *version,
            _ => self.version,
        };
        let record = |(_, key): (u64, String)| {
            let record = self.learned.get(&key)?;
            Some((key, record.to_text()))
        };
        (fresh.into_iter().filter_map(record).collect(), cursor)
    }
}
