//! Where does a configuration come from? From a text, a file, or the environment alone.

use super::check::{self, Around};
use super::edits::{Edit, Edits};
use super::finding::{Finding, Findings};
use super::origin::Origins;
use super::pool::NodeEntry;
use super::probe::Spot;
use super::problem::{Problem, Problems};
use super::resolve::{Env, resolve};
use super::sections::Config;
use super::snippet;
use super::tree::Path as Place;
use super::{file, files};
use crate::model::Secret;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Looked for in this order when no file is named.
const PLACES: [&str; 2] = ["conf/twolane.yaml", "/etc/twolane/twolane.yaml"];
/// More are counted, not told: each costs a reading of the text, and nobody reads them.
const TOLD: usize = 100;
/// A file larger than this is not a configuration.
const LARGEST: u64 = 4 << 20;

/// The words that `config`, a lower layer, learns from its caller.
#[derive(Clone, Debug)]
pub struct Known {
    /// The strategies there are.
    pub strategies: &'static [&'static str],
    /// What the embedding program adds.
    pub own: OwnWords,
}

/// The words that the program which embeds the gateway adds to the configuration.
#[derive(Clone, Debug, Default)]
pub struct OwnWords {
    /// After `strategy:` and `shadow:`.
    pub strategies: Vec<String>,
    /// After `learn.classifier:`.
    pub classifiers: Vec<String>,
    /// After `discover.own:`.
    pub discoveries: Vec<String>,
}

impl OwnWords {
    /// The program as it is, without additions.
    pub const NONE: Self = Self {
        strategies: Vec::new(),
        classifiers: Vec::new(),
        discoveries: Vec::new(),
    };
}

impl Known {
    /// Every word that `strategy:` may use.
    pub(super) fn all_strategies(&self) -> Vec<&str> {
        let own = self.own.strategies.iter().map(String::as_str);
        self.strategies.iter().copied().chain(own).collect()
    }
}

/// A configuration, and what else is known about its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the operator asked for.
    pub config: Config,
    /// The text itself.
    pub text: Text,
    /// What works and is probably not meant; often empty.
    pub warnings: Problems,
    /// The variable of the environment that the nodes were taken from; none = they are written.
    pub nodes_from: Option<&'static str>,
    /// The variable of the environment that says where the fleet meets; none = the file does, or
    /// there is no fleet.
    pub share_from: Option<&'static str>,
    /// Where each of its values comes from.
    pub origins: Origins,
}

/// The file that is taken when none is named, if there is one.
#[must_use]
pub fn find() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// A text that was read, and where. It may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    place: String,
    secret: Secret,
}

impl Text {
    /// [`content_hash`] of it.
    #[must_use]
    pub fn hash(&self) -> u64 {
        content_hash(self.secret.expose())
    }

    /// The same text with one more change by hand: the edits as they are then, and what they make
    /// of it. `now` is in force.
    ///
    /// # Errors
    /// Everything that is wrong with the change, at once; else with all together.
    pub fn edit(
        &self,
        (pool, edit): (&str, &Edit),
        edits: &Edits,
        now: &Config,
        known: &Known,
    ) -> Result<(Edits, Loaded), Problems> {
        let (place, sent) = match edit {
            Edit::Nodes(sent) => ("the nodes sent", sent.as_str()),
            _ => ("the change", ""),
        };
        let findings = Findings::default();
        let edits = edits.with(pool, edit, now, &findings);
        let edits = edits.map_err(|broken| syntax(sent, place, broken))?;
        let problems = tell(sent, place, findings.into_list());
        if problems.refuse() {
            return Err(problems);
        }
        let loaded = load_text(self.secret.expose(), &self.place, known, &edits)?;
        Ok((edits, loaded))
    }
}

/// Loads a file, with the environment of the process. The files that it names are read too.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_file(path: &Path, known: &Known) -> Result<Loaded, Problems> {
    load_edited(path, known, &Edits::default())
}

/// The same, with what was changed by hand laid over it.
///
/// # Errors
/// Everything that is wrong with both together, at once.
pub fn load_edited(path: &Path, known: &Known, edits: &Edits) -> Result<Loaded, Problems> {
    let place = path.display().to_string();
    let text = read(path).map_err(|(what, help)| Problems::whole(&place, what, help))?;
    load_text(&text, &place, known, edits)
}

fn load_text(text: &str, place: &str, known: &Known, edits: &Edits) -> Result<Loaded, Problems> {
    let env = |name: &str| std::env::var(name).ok();
    let mut loaded = examine_edited(text, place, known, (&env, edits))?;
    let findings = Findings::default();
    files::verify(&loaded.config, &findings);
    let problems = tell(text, place, findings.into_list());
    if problems.refuse() {
        return Err(problems);
    }
    loaded.warnings.list.extend(problems.list);
    Ok(loaded)
}

/// Tells whether a file that the configuration names changed: certificates, keys, authorities.
#[must_use]
pub fn files_hash(config: &Config) -> u64 {
    files::hash(config.tls.files().chain(config.node_tls.files()))
}

/// Loads a text. `place` is its name in messages, `env` the environment. An empty text is a
/// configuration too, when the environment names a node.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(
    text: &str,
    place: &str,
    known: &Known,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    examine(text, place, known, env).map(|loaded| loaded.config)
}

/// Loads a text, as [`load`] does, and tells the warnings too.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn examine(
    text: &str,
    place: &str,
    known: &Known,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    examine_edited(text, place, known, (env, &Edits::default()))
}

fn examine_edited(
    text: &str,
    place: &str,
    known: &Known,
    (env, edits): (Env<'_>, &Edits),
) -> Result<Loaded, Problems> {
    let parsed = file::parse(text).map_err(|broken| syntax(text, place, broken))?;
    let mut tree = parsed.tree;
    let findings = Findings::default();
    for twice in parsed.duplicates {
        findings.key(
            &twice.path,
            Spot::KeyAgain(twice.occurrence),
            "this key stands twice".to_owned(),
            "remove one of the two".to_owned(),
        );
    }
    let origins = Origins::of(&tree);
    resolve(&mut tree, &Place::default(), env, &findings);
    let laid = edits.lay_over(&mut tree, &findings);
    let around = Around {
        known,
        env,
        limited: false,
    };
    let mut config = check::read(&tree, &around, &findings);
    edits.settle(&mut config);
    let (nodes_from, share_from) = (findings.nodes_from(), findings.share_from());
    let mut list = findings.into_list();
    for finding in &mut list {
        // What was sent by hand stands nowhere in the file.
        let by_hand = |path: &Place| finding.path.0.starts_with(&path.0);
        if laid.iter().any(by_hand) {
            finding.spot = None;
        }
    }
    let problems = tell(text, place, list);
    if problems.refuse() {
        return Err(problems);
    }
    Ok(Loaded {
        config,
        text: Text {
            place: place.to_owned(),
            secret: Secret::new(text.to_owned()),
        },
        warnings: problems,
        nodes_from,
        share_from,
        origins: origins
            .with_variables(nodes_from, share_from)
            .with_hand(laid),
    })
}

/// Reads a list of nodes that stands in a file of its own: `[...]` or `nodes: [...]`, in YAML or
/// JSON, each node as in a pool. An empty list is one; an empty text is none.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read_nodes(text: &str, place: &str) -> Result<Vec<NodeEntry>, Problems> {
    let parsed = file::parse(text).map_err(|broken| syntax(text, place, broken))?;
    let findings = Findings::default();
    let nodes = check::listed(&parsed.tree, &findings);
    let problems = tell(text, place, findings.into_list());
    if problems.list.is_empty() {
        Ok(nodes)
    } else {
        Err(problems)
    }
}

/// Tells whether a text changed. Equal in every process of the same build, and no secret: do not
/// use it to hide one.
#[must_use]
pub fn content_hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let help = "name a file with --config, or set PLUGIN_DAEMON_URL and name none";
    let size = std::fs::metadata(path)
        .map_err(|error| (error.to_string(), help))?
        .len();
    if size > LARGEST {
        return Err(("larger than 4 MiB".to_owned(), "is it the right file?"));
    }
    let bytes = std::fs::read(path).map_err(|error| (error.to_string(), help))?;
    String::from_utf8(bytes).map_err(|error| (error.to_string(), "save the file as UTF-8"))
}

fn syntax(text: &str, place: &str, broken: file::Broken) -> Problems {
    let (line, column) = broken.place;
    let source = snippet::source(text, line);
    let reference = source.as_ref().is_some_and(|line| line.contains("${"));
    let help = if reference {
        "inside [ ] and { } a ${VAR} needs quotes"
    } else {
        "is the indentation right, and every quote and bracket closed?"
    };
    let mut problems = Problems::whole(place, broken.what, help);
    for problem in &mut problems.list {
        problem.line = line;
        problem.column = column;
        problem.source.clone_from(&source);
    }
    problems
}

/// Looks up where the findings stand, and puts them into the order of the file.
fn tell(text: &str, place: &str, findings: Vec<Finding>) -> Problems {
    let more = findings.len().saturating_sub(TOLD);
    let mut list: Vec<_> = findings
        .into_iter()
        .take(TOLD)
        .map(|finding| locate(text, finding))
        .collect();
    list.sort_by(|a, b| (a.line, a.column, &a.at).cmp(&(b.line, b.column, &b.at)));
    let mut problems = Problems {
        place: place.to_owned(),
        list,
    };
    if more > 0 {
        let rest = Problems::whole(
            place,
            format!("and {more} more problems"),
            "mend these first",
        );
        problems.list.extend(rest.list);
    }
    problems
}

fn locate(text: &str, finding: Finding) -> Problem {
    let (line, column) = finding
        .spot
        .and_then(|spot| file::locate(text, &finding.path, spot))
        .unwrap_or((0, 0));
    Problem {
        at: finding.path.to_string(),
        line,
        column,
        source: snippet::source(text, line),
        what: finding.what,
        help: finding.help,
        severity: finding.severity,
    }
}
