//! What is a request, as it came, and may it pass?

use super::Snapshot;
use crate::admit::{Arrival, admit};
use crate::dify::{Asked, Names, describe};
use crate::model::Rejection;
use crate::model::rejection::Reason;
use crate::route::Treatment;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

// Made once: a name given as text is parsed at every look-up.
static PLUGIN_ID: HeaderName = HeaderName::from_static("x-plugin-id");
static UNIQUE_IDENTIFIER: HeaderName = HeaderName::from_static("x-plugin-unique-identifier");

/// The fields that name a plugin, apart from the header in which they came: that cannot be held on to
/// while the body is read.
#[derive(Clone, Debug, Default)]
pub struct PluginFields {
    plugin_id: Option<HeaderValue>,
    unique_identifier: Option<HeaderValue>,
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'r> {
    /// What is asked of which plugin,
    pub asked: Asked<'r>,
    /// and the fields that say so.
    pub names: &'r PluginFields,
    /// Its method.
    pub method: &'r str,
    /// Its path, without the query.
    pub path: &'r str,
    /// Its query.
    pub query: Option<&'r str>,
    /// The host of an absolute target, or of HTTP/2's `:authority`.
    pub authority: Option<&'r str>,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Where it came from, where that is known.
    pub client: Option<IpAddr>,
}

impl PluginFields {
    /// By a header; of a field with several lines the first one counts.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        // Found in one go: to look one up costs as much as to pass several.
        let (mut plugin_id, mut unique_identifier) = (None, None);
        for (name, value) in headers {
            let place = if *name == PLUGIN_ID {
                &mut plugin_id
            } else if *name == UNIQUE_IDENTIFIER {
                &mut unique_identifier
            } else {
                continue;
            };
            place.get_or_insert(value);
        }
        Self {
            plugin_id: plugin_id.cloned(),
            unique_identifier: unique_identifier.cloned(),
        }
    }

    /// What is asked of which plugin.
    #[must_use]
    pub fn asked<'r>(&'r self, method: &str, path: &'r str) -> Asked<'r> {
        let names = Names {
            plugin_id: self.plugin_id.as_ref().and_then(|id| id.to_str().ok()),
            unique_identifier: self.identifier(),
        };
        describe(method, path, names)
    }

    /// `author/name:version@checksum`, where that came as text.
    #[must_use]
    pub fn identifier(&self) -> Option<&str> {
        self.unique_identifier.as_ref()?.to_str().ok()
    }
}

impl<'r> Incoming<'r> {
    /// The first value of a header, where it is text.
    #[must_use]
    pub fn text(&self, name: &HeaderName) -> Option<&'r str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The host it was sent to, as the client wrote it.
    #[must_use]
    pub fn host(&self) -> Option<&'r str> {
        self.text(&header::HOST).or(self.authority)
    }

    /// May it pass? `gateway` is our own name.
    ///
    /// # Errors
    /// When it may not: the answer in our own name.
    pub fn check(
        &self,
        gateway: &str,
        snapshot: &Snapshot,
        treatment: &Treatment,
    ) -> Result<(), Rejection> {
        if snapshot.treatments.denies(self.path) {
            return Err(Rejection::new(
                Reason::Denied,
                "this path is not open to clients: see kinds.denied in the gateway's configuration",
            ));
        }
        let arrival = Arrival {
            method: self.method,
            path: self.path,
            headers: self.headers,
        };
        admit(&arrival, gateway, treatment.body, &snapshot.config.loops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    proptest! {
        #[test]
        fn what_names_a_plugin_is_found_in_one_go(fields in prop::collection::vec((
            select(vec!["x-plugin-id", "x-plugin-unique-identifier", "host", "x-api-key"]),
            select(vec!["a/b", "c/d:1@e", "", "\u{e9}"]),
        ), 0..6)) {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
                headers.append(name, value);
            }
            let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
            let names = Names {
                plugin_id: text(&PLUGIN_ID),
                unique_identifier: text(&UNIQUE_IDENTIFIER),
            };
            for path in ["/plugin/t/dispatch/tool/invoke", "/v2/invoke/dispatch/tool/invoke"] {
                let found = PluginFields::of(&headers);
                prop_assert_eq!(found.asked("POST", path), describe("POST", path, names));
            }
        }
    }
}
