//! What does a person see? The dashboard: a page, its style and its script, all in the program.

use super::reply;
use super::routes::{Answer, Asked};
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION};

/// Nothing but what comes from here runs or is shown, and no other page shows it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`: where people begin.
pub(super) fn home(_: &Asked<'_>) -> Answer {
    let mut answer = reply::text(302, "see /ui/\n");
    let place = HeaderValue::from_static("/ui/");
    answer.headers_mut().insert(LOCATION, place);
    answer
}

/// `/ui/`.
pub(super) fn page(_: &Asked<'_>) -> Answer {
    asset("text/html", include_str!("ui/index.html"))
}

/// `/ui/style.css`.
pub(super) fn style(_: &Asked<'_>) -> Answer {
    asset("text/css", include_str!("ui/style.css"))
}

/// `/ui/app.js`.
pub(super) fn script(_: &Asked<'_>) -> Answer {
    asset("text/javascript", include_str!("ui/app.js"))
}

/// `/ui/words.js`: English and Chinese.
pub(super) fn words(_: &Asked<'_>) -> Answer {
    asset("text/javascript", include_str!("ui/words.js"))
}

fn asset(kind: &str, text: &str) -> Answer {
    let kind = format!("{kind}; charset=utf-8");
    let mut answer = reply::build(200, &kind, text.as_bytes().to_vec());
    let rules = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    for (name, value) in rules {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
