//! By what is a request hashed, and where on a ring does it lie?

use crate::config::{HashAlgorithm, HashBy, HashPart};
use smallvec::{SmallVec, smallvec};
use std::net::IpAddr;

/// The parts of 32 bits of one hash.
pub type Cut = SmallVec<[u32; 5]>;

/// Where on a ring a key lies, whoever is on it.
#[must_use]
pub fn point(algorithm: HashAlgorithm, key: &[u8]) -> u32 {
    cut(algorithm, key)[0]
}

/// The parts of 32 bits of a text's hash: the first is its point.
#[must_use]
pub fn cut(algorithm: HashAlgorithm, bytes: &[u8]) -> Cut {
    let parts = |digest: &[u8]| -> Cut {
        let (parts, _none) = digest.as_chunks::<4>();
        parts.iter().map(|part| u32::from_be_bytes(*part)).collect()
    };
    match algorithm {
        HashAlgorithm::Ketama => smallvec![crc32fast::hash(bytes)],
        HashAlgorithm::Crc32 => {
            let crc = crc32fast::hash(bytes);
            (0..4).map(|n| mix(crc ^ n << 30)).collect()
        }
        HashAlgorithm::Md5 => parts(&<md5::Md5 as md5::Digest>::digest(bytes)),
        HashAlgorithm::Sha1 => parts(&sha1_smol::Sha1::from(bytes).digest().bytes()),
        HashAlgorithm::Xxh3 => parts(&xxhash_rust::xxh3::xxh3_128(bytes).to_be_bytes()),
    }
}

/// Labels and keys that differ in their last digits have sums that differ in a few bits: bare, the
/// busiest of ten nodes had up to 1.6 of its share. The finalizer of MurmurHash3, a bijection.
const fn mix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// What a request may be hashed by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'r> {
    /// Its user.
    pub user: Option<&'r str>,
    /// Its application.
    pub application: Option<&'r str>,
    /// The tenant in its path.
    pub tenant: Option<&'r str>,
    /// Its plugin, or its hook's id.
    pub plugin: Option<&'r str>,
    /// Where it came from.
    pub client: Option<IpAddr>,
}

/// How the requests of one pool get their places on its ring.
#[derive(Clone, Debug)]
pub struct Hashing {
    by: HashBy,
    algorithm: HashAlgorithm,
}

impl Hashing {
    /// Of a pool.
    #[must_use]
    pub fn new(by: &HashBy, algorithm: HashAlgorithm) -> Self {
        Self {
            by: by.clone(),
            algorithm,
        }
    }

    /// Where a request lies; none when it has nothing to be hashed by. `header` gives a header's
    /// first value.
    #[must_use]
    pub fn point<'r>(
        &self,
        facts: &Facts<'r>,
        header: impl Fn(&str) -> Option<&'r str>,
    ) -> Option<u32> {
        self.by.parts.iter().find_map(|part| {
            let text = match part {
                HashPart::User => facts.user,
                HashPart::Application => facts.application,
                HashPart::Tenant => facts.tenant,
                HashPart::Plugin => facts.plugin,
                HashPart::Header(name) => header(name),
                HashPart::Address => {
                    // As nginx writes `$remote_addr`, so that `ketama` agrees with it.
                    let address = facts.client?.to_canonical().to_string();
                    return Some(point(self.algorithm, address.as_bytes()));
                }
            };
            let text = text.filter(|text| !text.is_empty())?;
            Some(point(self.algorithm, text.as_bytes()))
        })
    }

    /// Whether a user's id is looked for.
    #[must_use]
    pub fn goes_by_user(&self) -> bool {
        self.by.parts.contains(&HashPart::User)
    }

    /// Whether a request without a place is refused.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.by.required
    }

    /// What requests are hashed by, for people.
    #[must_use]
    pub fn written(&self) -> String {
        let parts = self.by.parts.iter().map(HashPart::written);
        parts.collect::<Vec<_>>().join(", ")
    }
}
