//! Who may look?

use crate::model::Secret;
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// Probes carry no token, and learn nothing but yes or no.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// Whether the request carries the token, when one is set. Compared in constant time, so that
/// the answer's delay tells nothing about how much of it was right.
pub(super) fn may(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let Some(token) = token else {
        return true;
    };
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    sent.is_some_and(|sent| sent.as_bytes().ct_eq(token.expose().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            header::HeaderValue::from_static(value),
        );
        headers
    }

    #[test]
    fn only_the_right_token_opens() {
        let token = Secret::new("s3cret".to_owned());
        assert!(may(&HeaderMap::new(), None));
        assert!(!may(&HeaderMap::new(), Some(&token)));
        assert!(may(&headers("Bearer s3cret"), Some(&token)));
        for wrong in ["Bearer s3cre", "Bearer s3cret ", "s3cret", "Basic s3cret"] {
            assert!(
                !may(&headers(wrong), Some(&token)),
                "{wrong:?} opened the door"
            );
        }
    }
}
