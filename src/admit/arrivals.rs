//! When do the requests of the published race come, and how long do they take?

use std::time::Duration;

/// One request: when it comes, how long it takes, what it is in truth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) at: Duration,
    pub(super) takes: Duration,
    pub(super) stream: bool,
}

/// The generator of the published race (MT19937, seeded by one word), so that its seeds mean here
/// what they mean there.
struct Twister {
    words: [u32; 624],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut words = [0u32; 624];
        words[0] = 19_650_218;
        for at in 1..624 {
            let before = words[at - 1] ^ (words[at - 1] >> 30);
            words[at] = before.wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        let mut at = 1;
        for round in 0..1247 {
            let before = words[at - 1] ^ (words[at - 1] >> 30);
            words[at] = if round < 624 {
                (words[at] ^ before.wrapping_mul(1_664_525)).wrapping_add(seed)
            } else {
                (words[at] ^ before.wrapping_mul(1_566_083_941)).wrapping_sub(at as u32)
            };
            at += 1;
            if at == 624 {
                words[0] = words[623];
                at = 1;
            }
        }
        words[0] = 0x8000_0000;
        Self { words, next: 624 }
    }

    fn word(&mut self) -> u32 {
        if self.next == 624 {
            for at in 0..624 {
                let high = self.words[at] & 0x8000_0000;
                let mixed = high | (self.words[(at + 1) % 624] & 0x7fff_ffff);
                let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
                self.words[at] = self.words[(at + 397) % 624] ^ (mixed >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// From 0 up to but without 1, in 53 bits.
    fn unit(&mut self) -> f64 {
        let (high, low) = (f64::from(self.word() >> 5), f64::from(self.word() >> 6));
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }
}

pub(super) fn trace(seed: u32) -> Vec<Arrival> {
    let mut dice = Twister::new(seed);
    let mut at = 0.0;
    let mut trace = Vec::new();
    loop {
        at += -(1.0 - dice.unit()).ln() / 57.0;
        if at >= 60.0 {
            return trace;
        }
        let stream = dice.unit() < 0.05;
        let takes = if stream {
            4.0 + 8.0 * dice.unit()
        } else {
            0.05
        };
        trace.push(Arrival {
            at: Duration::from_secs_f64(at),
            takes: Duration::from_secs_f64(takes),
            stream,
        });
    }
}
