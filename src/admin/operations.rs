//! What was learned, and what does the operator decide himself?

use super::reply;
use super::routes::{Answer, Asked};
use super::status::ms;
use crate::model::{Class, clock};
use crate::share::{self, Matter};
use serde::Deserialize;
use serde_json::json;

/// So many are shown unless somebody asks for more.
const LIMIT: usize = 50;

/// `/api/v1/operations?limit=N&offset=N&search=TEXT&class=long`: most work first, a page of them.
pub(super) fn page(asked: &Asked<'_>) -> Answer {
    let (limit, offset) = match (asked.number("limit", LIMIT), asked.number("offset", 0)) {
        (Ok(limit), Ok(offset)) => (limit, offset),
        (Err(what), _) | (_, Err(what)) => return reply::text(400, what),
    };
    let class = match asked.parameter("class").as_deref() {
        None | Some("") => None,
        Some(word) => match Class::from_word(word) {
            Some(class) => Some(class),
            None => return reply::text(400, "there is class=short and class=long\n"),
        },
    };
    let search = asked.parameter("search").unwrap_or_default().to_lowercase();
    let learner = &asked.live.learner;
    let mut rows = learner.view(usize::MAX, clock::now());
    rows.retain(|row| {
        row.key.to_lowercase().contains(&search)
            && class.is_none_or(|class| row.long == (class == Class::Long))
    });
    let total = rows.len();
    let rows: Vec<_> = rows.into_iter().skip(offset).take(limit).collect();
    let pins: Vec<_> = learner
        .pins_by_hand()
        .into_iter()
        .map(|pin| {
            let word = share::Wish::pin_word(pin.class);
            json!({ "key": pin.operation, "class": word })
        })
        .collect();
    let body = json!({
        "threshold_ms": ms(learner.threshold()),
        "known": learner.len(),
        "total": total,
        "offset": offset,
        "operations": rows,
        "pins": pins,
    });
    reply::json(200, &body)
}

/// `{"class": "long"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    class: String,
}

/// `PUT /api/v1/operations/{key}/pin`: the operator decides its class; `auto` leaves it to learning
/// although a pin of the configuration matches.
pub(super) fn pin(asked: &Asked<'_>) -> Answer {
    let wish: Wish = match asked.wish("{\"class\": \"long\"}") {
        Ok(wish) => wish,
        Err(what) => return reply::text(400, what),
    };
    let class = Class::from_word(&wish.class);
    if class.is_none() && wish.class != "auto" {
        let what = format!("no class {:?}; there is short, long and auto\n", wish.class);
        return reply::text(400, what);
    }
    match asked.live.learner.pin(asked.item, class) {
        Ok(()) => {
            log::info!("pinned operation={:?} class={}", asked.item, wish.class);
            asked.live.fleet.wish(share::Wish::pin(asked.item, class));
            reply::json(200, &json!({ "key": asked.item, "class": wish.class }))
        }
        Err(why) => reply::text(409, format!("{why}\n")),
    }
}

/// `DELETE /api/v1/operations/{key}/pin`: learning decides again, or the configuration.
pub(super) fn unpin(asked: &Asked<'_>) -> Answer {
    if asked.live.learner.unpin(asked.item) {
        log::info!("unpinned operation={:?}", asked.item);
        let none = share::Wish::new(Matter::Pin, asked.item, share::Wish::NONE);
        asked.live.fleet.wish(none);
        return reply::json(200, &json!({ "key": asked.item, "removed": true }));
    }
    let what = format!(
        "{:?} is not pinned by hand; pins of the configuration are changed there\n",
        asked.item
    );
    reply::text(404, what)
}

/// `DELETE /api/v1/operations/{key}`: what was learned of it is forgotten.
pub(super) fn forget(asked: &Asked<'_>) -> Answer {
    if asked.live.learner.forget(asked.item) {
        log::info!("forgotten operation={:?}", asked.item);
        return reply::json(200, &json!({ "key": asked.item, "removed": true }));
    }
    reply::text(404, format!("nothing was learned of {:?}\n", asked.item))
}
