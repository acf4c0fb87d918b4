//! Where in the text does a value stand?
//!
//! serde hands out no positions, but a deserializer knows where it is when it fails. So the text
//! is read once more, on the way to one path, and there the reading is made to fail. Only a
//! configuration that is wrong pays for it.

use super::tree::{KeyReader, Path, Step};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// Which end of an entry is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Spot {
    /// The value.
    Value,
    /// The key.
    Key,
    /// The key, not the first but the n-th after it.
    KeyAgain(usize),
}

/// Fails at its goal, and nowhere else if the text is sound.
pub(super) struct Probe<'a> {
    steps: &'a [Step],
    spot: Spot,
}

impl<'a> Probe<'a> {
    /// A probe for one path.
    pub(super) fn new(path: &'a Path, spot: Spot) -> Self {
        Self {
            steps: &path.0,
            spot,
        }
    }

    fn rest(&self) -> Self {
        Self {
            steps: &self.steps[1..],
            spot: self.spot,
        }
    }

    /// The goal is here: the position of the failure is the answer.
    fn arrive<E: Error>(&self) -> Result<(), E> {
        if self.steps.is_empty() {
            return Err(E::custom("here"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.arrive()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.arrive()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.arrive()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.arrive()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.arrive()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.arrive()
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.arrive()?;
        let mut at = 0;
        loop {
            let goal = self.steps[0] == Step::Index(at);
            let more = if goal {
                items.next_element_seed(self.rest())?.is_some()
            } else {
                items.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.arrive()?;
        let skip = match self.spot {
            Spot::Value => None,
            Spot::Key => Some(0),
            Spot::KeyAgain(skip) => Some(skip),
        };
        let key = KeyProbe {
            step: &self.steps[0],
            fail_after: Cell::new(skip.filter(|_| self.steps.len() == 1)),
        };
        while let Some(goal) = entries.next_key_seed(&key)? {
            if goal && key.fail_after.get().is_none() {
                entries.next_value_seed(self.rest())?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Says whether a key is the one looked for, and fails there when the key itself is the goal.
struct KeyProbe<'a> {
    step: &'a Step,
    /// Fail at the key when this is 0; before that, count down.
    fail_after: Cell<Option<usize>>,
}

impl<'de> DeserializeSeed<'de> for &KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl KeyProbe<'_> {
    fn meets<E: Error>(&self, key: &str) -> Result<bool, E> {
        if !matches!(self.step, Step::Key(goal) if goal == key) {
            return Ok(false);
        }
        match self.fail_after.get() {
            Some(0) => Err(E::custom("here")),
            Some(more) => {
                self.fail_after.set(Some(more - 1));
                Ok(true)
            }
            None => Ok(true),
        }
    }
}

impl Visitor<'_> for &KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyReader.expecting(f)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.meets(&KeyReader.visit_unit::<E>()?)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<bool, E> {
        self.meets(&KeyReader.visit_bool::<E>(flag)?)
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<bool, E> {
        self.meets(&KeyReader.visit_i64::<E>(whole)?)
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<bool, E> {
        self.meets(&KeyReader.visit_u64::<E>(whole)?)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<bool, E> {
        self.meets(&KeyReader.visit_f64::<E>(number)?)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        self.meets(text)
    }
}
