//! What does a request's header say of it, for those who follow it?

use http::{HeaderMap, HeaderValue};

/// The fields that name a request and who sent it. All of them are found in one go: most requests have few
/// fields, and to look one up costs as much as to pass several.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) id: Option<&'a HeaderValue>,
    pub(super) trace: Option<&'a HeaderValue>,
    pub(super) trace_state: Option<&'a HeaderValue>,
    pub(super) forwarded_for: Option<&'a HeaderValue>,
    pub(super) user_agent: Option<&'a HeaderValue>,
}

impl<'a> Said<'a> {
    /// By a header; of a field with several lines the first one counts.
    #[inline(never)]
    pub(super) fn by(headers: &'a HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "x-request-id" => &mut said.id,
                "traceparent" => &mut said.trace,
                "tracestate" => &mut said.trace_state,
                "x-forwarded-for" => &mut said.forwarded_for,
                "user-agent" => &mut said.user_agent,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_each_field_is_found() {
        let names = [
            "x-request-id",
            "traceparent",
            "tracestate",
            "x-forwarded-for",
            "user-agent",
        ];
        let mut headers = HeaderMap::new();
        for line in ["first", "second"] {
            for name in names {
                headers.append(name, HeaderValue::from_static(line));
            }
            headers.append("host", HeaderValue::from_static(line));
        }
        let said = Said::by(&headers);
        let found = [
            said.id,
            said.trace,
            said.trace_state,
            said.forwarded_for,
            said.user_agent,
        ];
        assert_eq!(found, names.map(|name| headers.get(name)));
        assert_eq!(found, [Some(&HeaderValue::from_static("first")); 5]);
        assert!(Said::by(&HeaderMap::new()).user_agent.is_none());
    }
}
