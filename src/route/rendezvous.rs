//! Which of several nodes belongs to a key, without a table that gateways would have to share?
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1998): each node has a score with the key, the
//! highest wins. A node that leaves moves only its own keys.

/// FNV-1a with 64 bits: the same on every gateway and in every version.
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

/// The position of the name that wins the key.
#[must_use]
pub fn winner<'n>(key: u64, names: impl Iterator<Item = &'n str>) -> Option<usize> {
    let score = |name: &str| mix(key ^ stable_hash(name.as_bytes()));
    names
        .enumerate()
        .max_by_key(|(_, name)| score(name))
        .map(|(at, _)| at)
}

/// Spreads close numbers far apart: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_evenly_and_a_node_that_leaves_moves_only_its_own() {
        let all = ["n1", "n2", "n3", "n4"];
        let mut counts = [0; 4];
        for key in 0..4000u32 {
            let key = stable_hash(&key.to_le_bytes());
            let home = winner(key, all.into_iter()).expect("there are nodes");
            counts[home] += 1;
            let rest = winner(key, all[..3].iter().copied()).expect("there are nodes");
            assert!(home == 3 || rest == home, "a key moved without need");
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(stable_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
