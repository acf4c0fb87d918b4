//! Which dice? The Mersenne Twister (MT19937), seeded and drawn from as Python does, so that the
//! arrivals of race A are those for which figures of other proxies are known.

const LENGTH: usize = 624;
const SHIFT: usize = 397;

pub(crate) struct Dice {
    state: [u32; LENGTH],
    at: usize,
}

impl Dice {
    /// `random.Random(seed)`.
    pub(crate) fn with_seed(seed: u32) -> Self {
        let mut state = [0_u32; LENGTH];
        state[0] = 19_650_218;
        for at in 1..LENGTH {
            let last = state[at - 1];
            state[at] = mixed(last, 1_812_433_253).wrapping_add(low(at));
        }
        let mut at = 1;
        for _ in 0..LENGTH {
            let stirred = state[at] ^ mixed(state[at - 1], 1_664_525);
            state[at] = stirred.wrapping_add(seed);
            at = following(&mut state, at);
        }
        for _ in 1..LENGTH {
            let stirred = state[at] ^ mixed(state[at - 1], 1_566_083_941);
            state[at] = stirred.wrapping_sub(low(at));
            at = following(&mut state, at);
        }
        state[0] = 1 << 31;
        Self { state, at: LENGTH }
    }

    fn next(&mut self) -> u32 {
        if self.at == LENGTH {
            self.turn();
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn turn(&mut self) {
        for at in 0..LENGTH {
            let both = (self.state[at] & (1 << 31)) | (self.state[(at + 1) % LENGTH] & !(1 << 31));
            let odd = if both & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + SHIFT) % LENGTH] ^ (both >> 1) ^ odd;
        }
        self.at = 0;
    }

    /// From 0 to below 1, 53 bits.
    pub(crate) fn share(&mut self) -> f64 {
        let (high, low) = (self.next() >> 5, self.next() >> 6);
        f64::from(high).mul_add(67_108_864.0, f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// The gap to the next of so many arrivals per second.
    pub(crate) fn gap(&mut self, rate: f64) -> f64 {
        -(1.0 - self.share()).ln() / rate
    }

    pub(crate) fn between(&mut self, least: f64, most: f64) -> f64 {
        (most - least).mul_add(self.share(), least)
    }
}

fn mixed(word: u32, factor: u32) -> u32 {
    (word ^ (word >> 30)).wrapping_mul(factor)
}

fn low(at: usize) -> u32 {
    u32::try_from(at).expect("the state is short")
}

fn following(state: &mut [u32; LENGTH], at: usize) -> usize {
    if at + 1 < LENGTH {
        return at + 1;
    }
    state[0] = state[LENGTH - 1];
    1
}
