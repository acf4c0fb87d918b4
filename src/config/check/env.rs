//! Variables of the environment, read as Dify reads them.

use crate::config::address::Address;
use crate::config::finding::Findings;
use crate::config::resolve::Env;
use std::str::FromStr;

/// The environment, and where to note what is wrong with it.
pub(super) struct Variables<'a> {
    pub(super) findings: &'a Findings,
    pub(super) env: Env<'a>,
}

impl Variables<'_> {
    /// A variable that is set and not blank.
    pub(super) fn filled(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// As pydantic and Go read one; anything else is no.
    pub(super) fn flag(&self, name: &str) -> bool {
        let value = self.filled(name).map(|value| value.to_ascii_lowercase());
        matches!(
            value.as_deref(),
            Some("true" | "1" | "yes" | "on" | "t" | "y")
        )
    }

    /// A number; `default` when it is not set.
    pub(super) fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some(text) = self.filled(name) else {
            return default;
        };
        text.parse().unwrap_or_else(|_no_number| {
            self.findings.outside(
                name,
                "not a number that fits",
                "leave it out for the default",
            );
            default
        })
    }

    /// A host, with the port that is usual where none is written.
    pub(super) fn address(&self, name: &str, text: &str, port: u16) -> Option<Address> {
        Address::with_port(text, port)
            .map_err(|bad| self.findings.outside(name, bad.what, bad.help))
            .ok()
    }
}
