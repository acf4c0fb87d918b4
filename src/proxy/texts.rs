//! Which values are written anew for every request that a node is sent?

use super::Ctx;
use crate::model::{RequestId, digits};
use bytes::Bytes;
use http::HeaderValue;
use std::net::IpAddr;
use std::ops::Range;

/// They stand one behind another in one piece of memory, of which each is a slice: a piece for each
/// would be as many allocations.
#[derive(Debug)]
pub(super) struct Texts {
    /// The address at the other end of the connection.
    pub(super) peer: Option<HeaderValue>,
    /// The id, where it is our own and told.
    pub(super) id: Option<HeaderValue>,
    /// The `traceparent` that was begun here.
    pub(super) begun: Option<HeaderValue>,
}

/// No address has more than 45 signs, no id of ours more than 29, and a trace has 55.
const LONGEST: usize = 45 + 29 + 55;

impl Texts {
    /// Those of one request.
    pub(super) fn of(peer: Option<IpAddr>, ctx: &Ctx) -> Self {
        let own = |id: &&RequestId| matches!(id, RequestId::Own { .. });
        let id = ctx.id.as_ref().filter(own).filter(|_| ctx.names.is_told());
        Self::written(peer, id, ctx.names.begun())
    }

    fn written(peer: Option<IpAddr>, id: Option<&RequestId>, begun: Option<&[u8]>) -> Self {
        let mut text = Vec::with_capacity(LONGEST);
        if let Some(peer) = peer {
            digits::address(peer, &mut text);
        }
        let first = text.len();
        if let Some(id) = id {
            text.extend_from_slice(id.text().as_bytes());
        }
        let second = text.len();
        text.extend_from_slice(begun.unwrap_or_default());
        let text = Bytes::from(text);
        Self {
            peer: value(&text, 0..first),
            id: value(&text, first..second),
            begun: value(&text, second..text.len()),
        }
    }
}

/// Once in the program: code that runs once in a request costs more to fetch than to run.
#[inline(never)]
fn value(text: &Bytes, at: Range<usize>) -> Option<HeaderValue> {
    if at.is_empty() {
        return None;
    }
    HeaderValue::from_maybe_shared(text.slice(at)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dice, begin_trace};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_value_is_what_it_is_alone(
            peer: Option<IpAddr>, number: Option<u64>, gateway: u32, begun: Option<u64>
        ) {
            let id = number.map(|number| RequestId::Own { gateway, number });
            let begun = begun.map(|seed| begin_trace(&mut Dice::with_seed(seed)));
            let texts = Texts::written(peer, id.as_ref(), begun.as_ref().map(|it| it.as_slice()));
            let text = |value: Option<HeaderValue>| value.map(|it| it.as_bytes().to_vec());
            prop_assert_eq!(text(texts.peer), peer.map(|it| it.to_string().into_bytes()));
            prop_assert_eq!(text(texts.id), id.map(|it| it.to_string().into_bytes()));
            prop_assert_eq!(text(texts.begun), begun.map(|it| it.to_vec()));
        }
    }
}
