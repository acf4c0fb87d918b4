//! What has the operator decided for this request? The first rule that fits.

use crate::config::{RuleEntry, When};
use crate::dify::Asked;
use crate::learn::matches;
use crate::model::Class;

/// The rules, with pools by their positions.
#[derive(Debug, Default)]
pub struct Rules {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    when: When,
    rule: Rule,
}

/// What one rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the file, from 1.
    pub number: usize,
    /// The class; `None` leaves it to learning.
    pub class: Option<Class>,
    /// The position of a pool; `None` leaves it to the routes.
    pub pool: Option<usize>,
    /// No application's key is wanted.
    pub open: bool,
}

/// What the conditions of rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'r> {
    /// What is asked.
    pub asked: &'r Asked<'r>,
    /// The method.
    pub method: &'r str,
    /// The path, without the query.
    pub path: &'r str,
    /// The host it was sent to, as the client wrote it.
    pub host: Option<&'r str>,
    /// The application whose key it carries.
    pub application: Option<&'r str>,
}

impl Rules {
    /// Compiles rules; `position` gives a pool's place. Names were checked before.
    #[must_use]
    pub fn new(entries: &[RuleEntry], position: impl Fn(&str) -> Option<usize>) -> Self {
        let row = |(number, entry): (usize, &RuleEntry)| Row {
            when: entry.when.clone(),
            rule: Rule {
                number,
                class: entry.class,
                pool: entry.pool.as_deref().and_then(&position),
                open: entry.open,
            },
        };
        Self {
            rows: (1..).zip(entries).map(row).collect(),
        }
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first rule that fits; `header` gives a header's first value.
    #[must_use]
    pub fn find<'r>(
        &self,
        look: &Look<'_>,
        header: impl Fn(&str) -> Option<&'r str>,
    ) -> Option<Rule> {
        let fits = |row: &&Row| row.when.fits(look, &header);
        self.rows.iter().find(fits).map(|row| row.rule)
    }
}

impl When {
    fn fits<'r>(&self, look: &Look<'_>, header: impl Fn(&str) -> Option<&'r str>) -> bool {
        let asked = look.asked;
        let fits = |pattern: &Option<String>, found: Option<&str>| {
            let pattern = pattern.as_deref();
            pattern.is_none_or(|pattern| found.is_some_and(|text| matches(pattern, text)))
        };
        fits(&self.op, Some(asked.op))
            && fits(&self.plugin, asked.plugin)
            && fits(&self.tenant, asked.tenant)
            && fits(&self.application, look.application)
            && fits(&self.path, Some(look.path))
            && fits(&self.method, Some(look.method))
            && (self.host.is_none() || fits(&self.host, look.host.map(host).as_deref()))
            && self
                .header
                .iter()
                .all(|(name, pattern)| header(name).is_some_and(|text| matches(pattern, text)))
    }
}

/// Without a port, in small letters.
fn host(written: &str) -> String {
    let end = match written.rsplit_once(':') {
        // The colons of an address in brackets are no port's.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => written,
    };
    end.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dify::{Names, describe};

    fn rule(when: When, class: Option<Class>, pool: Option<&str>) -> RuleEntry {
        RuleEntry {
            when,
            class,
            pool: pool.map(str::to_owned),
            open: false,
            limit: None,
        }
    }

    fn three_rules() -> [RuleEntry; 3] {
        let some = |text: &str| Some(text.to_owned());
        [
            rule(
                When {
                    op: some("tool/*"),
                    plugin: some("a/*"),
                    header: vec![("x-team".to_owned(), "batch*".to_owned())],
                    ..When::default()
                },
                Some(Class::Long),
                Some("heavy"),
            ),
            rule(
                When {
                    tenant: some("t1"),
                    ..When::default()
                },
                None,
                Some("heavy"),
            ),
            rule(
                When {
                    plugin: some("*"),
                    ..When::default()
                },
                Some(Class::Short),
                None,
            ),
        ]
    }

    fn look<'r>(asked: &'r crate::dify::Asked<'r>, path: &'r str) -> Look<'r> {
        Look {
            asked,
            method: "POST",
            path,
            host: None,
            application: None,
        }
    }

    #[test]
    fn the_first_rule_whose_conditions_all_fit_decides_alone() {
        let rules = Rules::new(&three_rules(), |name| {
            ["main", "heavy"].iter().position(|&pool| pool == name)
        });
        let find = |path: &str, plugin: Option<&str>, team: Option<&str>| {
            let names = Names {
                plugin_id: plugin,
                unique_identifier: None,
            };
            let team = team.map(str::to_owned);
            let asked = describe("POST", path, names);
            let look = look(&asked, path);
            let rule = rules.find(&look, |name| {
                team.as_deref()
                    .filter(|_| name == "x-team")
                    .map(|_| "batch-7")
            });
            rule.map(|rule| (rule.number, rule.class, rule.pool))
        };
        let tool = "/plugin/t2/dispatch/tool/invoke";
        let first = Some((1, Some(Class::Long), Some(1)));
        assert_eq!(find(tool, Some("a/b"), Some("batch-7")), first);
        let third = Some((3, Some(Class::Short), None));
        assert_eq!(
            find(tool, Some("a/b"), None),
            third,
            "the header is missing"
        );
        assert_eq!(find(tool, Some("c/d"), Some("batch-7")), third);
        let second = Some((2, None, Some(1)));
        assert_eq!(
            find("/plugin/t1/dispatch/tool/invoke", Some("c/d"), None),
            second,
            "what it leaves open is not taken from a later rule"
        );
        assert_eq!(find("/plugin/t2/management/list", None, None), None);
    }

    #[test]
    fn f156_host_path_method_and_application_are_conditions_too() {
        let some = |text: &str| Some(text.to_owned());
        let when = When {
            application: some("chat"),
            host: some("*.example.org"),
            path: some("/v1/*"),
            method: some("POST"),
            ..When::default()
        };
        let rules = Rules::new(&[rule(when, None, Some("a"))], |_| Some(3));
        let asked = describe("POST", "/v1/chat-messages", Names::default());
        let fitting = Look {
            asked: &asked,
            method: "POST",
            path: "/v1/chat-messages",
            host: Some("API.example.org:8080"),
            application: Some("chat"),
        };
        let found = |look: Look<'_>| rules.find(&look, |_| None).is_some();
        assert!(found(fitting));
        let (method, path) = ("GET", "/v2/x");
        assert!(!found(Look { method, ..fitting }));
        assert!(!found(Look { path, ..fitting }));
        for host in [None, Some("example.org"), Some("[::1]:80"), Some("")] {
            assert!(!found(Look { host, ..fitting }), "{host:?}");
        }
        for application in [None, Some("batch")] {
            let other = Look {
                application,
                ..fitting
            };
            assert!(!found(other));
        }
    }
}
