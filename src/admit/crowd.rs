//! How many connections may there be, and how many from one address?

use ahash::RandomState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections come and go on all threads; addresses are spread over so many locks.
const SHARDS: usize = 16;

/// The connections there are. Asked when one comes and when it goes, never in between.
#[derive(Debug)]
pub struct Crowd {
    inside: AtomicUsize,
    hasher: RandomState,
    addresses: [Mutex<HashMap<IpAddr, usize, RandomState>>; SHARDS],
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are too many connections.
    Gateway,
    /// There are too many from this address.
    Address,
}

impl Full {
    /// Every word there is.
    pub const WORDS: [&'static str; 2] = ["gateway", "address"];

    /// The word in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => Self::WORDS[0],
            Self::Address => Self::WORDS[1],
        }
    }
}

/// One connection's seat; ends by `Drop`.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Default for Crowd {
    fn default() -> Self {
        let hasher = RandomState::new();
        Self {
            inside: AtomicUsize::new(0),
            addresses: std::array::from_fn(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))),
            hasher,
        }
    }
}

impl Crowd {
    /// Somebody comes, from an address that is counted or from none.
    ///
    /// # Errors
    /// When there is no seat.
    pub fn enter(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        most: usize,
        each: usize,
    ) -> Result<Seat, Full> {
        // Dropped on every way out that is none.
        let mut seat = Seat {
            crowd: Arc::clone(self),
            address: None,
        };
        if self.inside.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Full::Gateway);
        }
        if let Some(address) = address.map(one_client) {
            let mut addresses = self.shard(address).lock();
            let inside = addresses.entry(address).or_default();
            if *inside >= each {
                return Err(Full::Address);
            }
            *inside += 1;
            seat.address = Some(address);
        }
        Ok(seat)
    }

    /// How many are inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    fn shard(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize, RandomState>> {
        let hash = self.hasher.hash_one(address);
        &self.addresses[usize::try_from(hash % SHARDS as u64).unwrap_or_default()]
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.inside.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else {
            return;
        };
        let mut addresses = self.crowd.shard(address).lock();
        if let Some(inside) = addresses.get_mut(&address) {
            *inside -= 1;
            if *inside == 0 {
                addresses.remove(&address);
            }
        }
    }
}

/// What counts as one client: of IPv6 the network of a site, which has all addresses in it at will.
#[must_use]
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_seat_is_given_back_however_it_ends() {
        let crowd = Arc::new(Crowd::default());
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        let seats: Vec<_> = (0..3)
            .map(|_| crowd.enter(address, 10, 3).unwrap())
            .collect();
        assert_eq!(crowd.enter(address, 10, 3).unwrap_err(), Full::Address);
        assert_eq!(crowd.enter(None, 3, 3).unwrap_err(), Full::Gateway);
        assert_eq!(crowd.inside(), 3, "who was turned away has no seat");
        drop(seats);
        assert_eq!(crowd.inside(), 0);
        assert!(crowd.addresses.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn a_site_is_one_client_and_mapped_addresses_are_themselves() {
        let site = |text: &str| one_client(text.parse().unwrap());
        assert_eq!(site("2001:db8:1:2:3::4"), site("2001:db8:1:2::9"));
        assert_ne!(site("2001:db8:1:2::4"), site("2001:db8:1:3::4"));
        assert_eq!(site("::ffff:10.0.0.1"), site("10.0.0.1"));
    }

    proptest! {
        #[test]
        fn never_more_than_allowed(comings in prop::collection::vec((0_u8..4, any::<bool>()), 0..60)) {
            let crowd = Arc::new(Crowd::default());
            let mut seats = Vec::new();
            for (from, comes) in comings {
                if comes {
                    seats.extend(crowd.enter(Some(IpAddr::from([10, 0, 0, from])), 6, 2).ok());
                } else if !seats.is_empty() {
                    seats.remove(usize::from(from) % seats.len());
                }
                prop_assert_eq!(crowd.inside(), seats.len());
                prop_assert!(seats.len() <= 6);
                for last in 0..4 {
                    let address = Some(IpAddr::from([10, 0, 0, last]));
                    prop_assert!(seats.iter().filter(|seat| seat.address == address).count() <= 2);
                }
            }
        }
    }
}
