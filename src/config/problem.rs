//! What is wrong with a configuration, and how is it told?

use super::snippet;
use std::fmt;

/// Does the problem stop the gateway?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is accepted; probably it is not meant.
    Warning,
}

/// One thing that is wrong. It never shows a value from the environment or from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the entry: `pools[0].nodes[2].weight`; empty for the whole file.
    pub at: String,
    /// The line, from 1; 0 when it does not stand in the file.
    pub line: usize,
    /// The column in characters, from 1; 0 when it does not stand in the file.
    pub column: usize,
    /// The line itself. What looks like a secret in it is `***`.
    pub source: Option<String>,
    /// What is wrong.
    pub what: String,
    /// The cure, or `did you mean`.
    pub help: Option<String>,
    /// Does it stop the gateway?
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.what)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, for people.
    pub place: String,
    /// The problems.
    pub list: Vec<Problem>,
}

impl Problems {
    /// Whether one of them stops the gateway.
    pub(super) fn refuse(&self) -> bool {
        let stops = |problem: &Problem| problem.severity == Severity::Error;
        self.list.iter().any(stops)
    }

    /// A problem with the file as a whole: it is not there, or cannot be read.
    pub(super) fn whole(place: &str, what: String, help: &str) -> Self {
        let problem = Problem {
            at: String::new(),
            line: 0,
            column: 0,
            source: None,
            what,
            help: Some(help.to_owned()),
            severity: Severity::Error,
        };
        Self {
            place: place.to_owned(),
            list: vec![problem],
        }
    }

    /// All problems as a compiler would show them: the line, a caret, the cure. No colour.
    #[must_use]
    pub fn render(&self) -> String {
        let blocks: Vec<_> = self
            .list
            .iter()
            .map(|problem| snippet::render(problem, &self.place))
            .collect();
        blocks.join("\n\n")
    }
}

/// One line per problem: `conf/twolane.yaml:14:5: learn.windw: unknown key ...`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.place)?;
            if problem.line > 0 {
                write!(f, ":{}:{}", problem.line, problem.column)?;
            }
            let kind = match problem.severity {
                Severity::Error => "",
                Severity::Warning => "warning: ",
            };
            write!(f, ": {kind}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
