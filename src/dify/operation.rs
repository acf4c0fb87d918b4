//! What is asked, of which plugin?
//!
//! Paths are taken as they came: never decoded, merged or normalised, because the daemon's router
//! takes them so too (`install/tasks/x/delete/a/b:0.0.1@c` is one path with slashes of its own).

use super::words::{self, Word};
use crate::model::{Class, Operation, Part};

/// What a path asks for, by who in the daemon answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A plugin is called: `/plugin/:tenant/dispatch/*` and `/v2/invoke/dispatch/*`.
    Dispatch,
    /// A plugin is called and answers in plain JSON: `.../dispatch/model/polling/*`.
    Polling,
    /// A plugin's public endpoint: `/e/:hook/*`.
    Hook,
    /// Plugins are listed, installed, configured: database work.
    Management,
    /// A file of a plugin is read.
    Asset,
    /// A serverless plugin calls back.
    Transaction,
    /// The daemon's own `/health/check`.
    Health,
    /// Everything else; the daemon answers most of it with 404.
    Other,
}

impl Kind {
    /// The word in routes, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Polling => "polling",
            Self::Hook => "hook",
            Self::Management => "management",
            Self::Asset => "asset",
            Self::Transaction => "transaction",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

/// The two headers that name a plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'r> {
    /// `X-Plugin-ID`: `author/name`.
    pub plugin_id: Option<&'r str>,
    /// `X-Plugin-Unique-Identifier`: `author/name:version@checksum`.
    pub unique_identifier: Option<&'r str>,
}

/// What a request asks for. Borrows from the request; making one allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'r> {
    /// Who answers it.
    pub kind: Kind,
    /// `tool/invoke` and the like for a plugin's call, known or not (cut at 64 bytes); `e` for a
    /// hook; else the word of `kind`.
    pub op: &'r str,
    /// `author/name`; under `/e/` the hook's id.
    pub plugin: Option<&'r str>,
    /// The plugin's version, where the request names it.
    pub version: Option<&'r str>,
    /// The tenant of the path.
    pub tenant: Option<&'r str>,
    /// Nothing changes when it is done twice: the health check, metrics, assets, extraction, and
    /// the GETs and looking-up POSTs of management. Never true for a plugin's call.
    pub read: bool,
    word: Option<&'static Word>,
}

/// Every name that [`Asked::label`] gives to what is learned.
pub fn labels() -> impl Iterator<Item = &'static str> {
    let words = words::WORDS.iter().map(|word| word.op);
    words.chain([HOOK])
}

/// The operation of every hook.
const HOOK: &str = "e";

/// Says what is asked. `path` may carry a query; it is not looked at.
#[must_use]
pub fn describe<'r>(method: &str, path: &'r str, names: Names<'r>) -> Asked<'r> {
    let path = without_query(path);
    if let Some(rest) = path.strip_prefix("/plugin/")
        && let Some((tenant, rest)) = rest.split_once('/')
        && !tenant.is_empty()
    {
        return of_tenant(method, tenant, rest, names);
    }
    if let Some(op) = path.strip_prefix("/v2/invoke/dispatch/") {
        let (plugin, version) = names.unique_identifier.map_or((None, None), identified);
        return Asked {
            plugin,
            version,
            ..call(method, op)
        };
    }
    if let Some(rest) = path.strip_prefix("/e/") {
        return hook(method, rest);
    }
    let get = method == "GET";
    match path {
        "/health/check" if get => plain(Kind::Health, true),
        "/v2/invoke/extract" => plain(Kind::Management, get),
        "/backwards-invocation/transaction" => plain(Kind::Transaction, false),
        "/metrics/" => plain(Kind::Other, get),
        _ if path.starts_with("/admin/") => plain(Kind::Management, false),
        _ => plain(Kind::Other, false),
    }
}

/// Whether a path of [`Kind::Management`] installs or upgrades plugins.
#[must_use]
pub fn installs(path: &str) -> bool {
    let rest = path.split_once("/management/").map(|(_, rest)| rest);
    rest.is_some_and(|rest| {
        let of = rest.strip_prefix("install/");
        of.is_some_and(|what| !what.starts_with("tasks") && !what.starts_with("task/"))
    })
}

/// Everything under `/plugin/:tenant/`.
fn of_tenant<'r>(method: &str, tenant: &'r str, rest: &'r str, names: Names<'r>) -> Asked<'r> {
    let get = method == "GET";
    let asked = if let Some(op) = rest.strip_prefix("dispatch/") {
        Asked {
            plugin: names.plugin_id.filter(|id| !id.is_empty()),
            ..call(method, op)
        }
    } else if rest.starts_with("asset/") || rest == "extract-asset/" {
        plain(Kind::Asset, get)
    } else if let Some(action) = rest.strip_prefix("management/") {
        plain(Kind::Management, get || READING_POSTS.contains(&action))
    } else if rest.starts_with("endpoint/") {
        plain(Kind::Management, get)
    } else if rest.starts_with("debugging/") {
        plain(Kind::Management, false)
    } else {
        plain(Kind::Other, false)
    };
    Asked {
        tenant: Some(tenant),
        ..asked
    }
}

/// POSTs that only look something up.
const READING_POSTS: [&str; 3] = [
    "installation/fetch/batch",
    "installation/missing",
    "tools/check_existence",
];

/// A plugin's call. The daemon knows it as POST only; any other method is its 404.
fn call<'r>(method: &str, op: &'r str) -> Asked<'r> {
    if method != "POST" || op.is_empty() {
        return plain(Kind::Other, false);
    }
    let word = words::find(op);
    let kind = if op.starts_with("model/polling/") {
        Kind::Polling
    } else {
        Kind::Dispatch
    };
    Asked {
        op: word.map_or_else(|| cut(op), |word| word.op),
        word,
        ..plain(kind, false)
    }
}

/// A hook; the daemon has no PATCH there.
fn hook<'r>(method: &str, rest: &'r str) -> Asked<'r> {
    const METHODS: [&str; 6] = ["POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS"];
    let id = rest.split_once('/').map_or(rest, |(id, _)| id);
    if id.is_empty() || !METHODS.contains(&method) {
        return plain(Kind::Other, false);
    }
    Asked {
        op: HOOK,
        plugin: Some(id),
        ..plain(Kind::Hook, false)
    }
}

fn plain<'r>(kind: Kind, read: bool) -> Asked<'r> {
    Asked {
        kind,
        op: kind.word(),
        plugin: None,
        version: None,
        tenant: None,
        read,
        word: None,
    }
}

/// The process that an identifier names: `author/name:version@checksum` -> `author/name:version`. A
/// daemon runs two versions of one plugin as two.
#[must_use]
pub fn runtime(identifier: &str) -> &str {
    identifier.split_once('@').map_or(identifier, |(it, _)| it)
}

/// The plugin of such a process, `author/name`; of a name without a version, the name.
#[must_use]
pub fn plugin_of(runtime: &str) -> &str {
    runtime
        .split_once(':')
        .map_or(runtime, |(plugin, _)| plugin)
}

/// `author/name:version@checksum` -> `author/name`, `version`.
pub(super) fn identified(identifier: &str) -> (Option<&str>, Option<&str>) {
    let named = runtime(identifier);
    let (plugin, version) = named.split_once(':').unwrap_or((named, ""));
    let some = |text: &str| !text.is_empty();
    (
        Some(plugin).filter(|it| some(it)),
        Some(version).filter(|it| some(it)),
    )
}

fn without_query(path: &str) -> &str {
    memchr::memchr(b'?', path.as_bytes()).map_or(path, |end| &path[..end])
}

/// The first 64 bytes, at most: a client must not choose how much we write down.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(64))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

impl<'r> Asked<'r> {
    /// Is its duration worth learning? Only what runs in a plugin is: the rest is database work
    /// that every node does alike.
    #[must_use]
    pub const fn learnable(&self) -> bool {
        matches!(self.kind, Kind::Dispatch | Kind::Hook)
    }

    /// What requests of this kind usually are, before anything was measured. An `invoke` that this
    /// gateway does not know yet is taken for long, like its brothers.
    #[must_use]
    pub fn prior(&self) -> Class {
        match (self.word, self.kind) {
            (Some(word), _) => word.prior,
            (None, Kind::Dispatch) if self.op.ends_with("/invoke") => Class::Long,
            (None, Kind::Transaction) => Class::Long,
            _ => Class::Short,
        }
    }

    /// Whether it waits for a model or a service far away rather than for the node: many of them
    /// run side by side in one process.
    #[must_use]
    pub fn io_bound(&self) -> bool {
        const NAMES: [&str; 7] = [
            "llm",
            "rerank",
            "multimodal_rerank",
            "tts",
            "speech2text",
            "moderation",
            "agent_strategy",
        ];
        let name = self.op.strip_suffix("/invoke");
        name.is_some_and(|name| NAMES.contains(&name) || name.ends_with("_embedding"))
    }

    /// Does Dify take the first event and close the connection? Then a client that left after an
    /// event was served, and is neither an error nor an interrupted measurement.
    #[must_use]
    pub fn single_result(&self) -> bool {
        self.word.is_some_and(|word| word.single)
    }

    /// The operation's name from a closed list: for metric labels, which clients must not choose.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match (self.word, self.kind) {
            (Some(word), _) => word.op,
            (None, Kind::Hook) => HOOK,
            (None, kind) => kind.word(),
        }
    }

    /// The key under which the duration is learned: the `parts` that are there, in their order.
    /// `item` is what [`super::Peek`] found; `path` is the path as it came. Without any part the
    /// operation alone is the key.
    #[must_use]
    pub fn operation(&self, parts: &[Part], item: Option<&str>, path: &'r str) -> Operation {
        let mut found = parts.iter().filter_map(|part| match part {
            Part::Op => Some(self.op),
            Part::Plugin => self.plugin,
            Part::Version => self.version,
            Part::Item => item,
            Part::Tenant => self.tenant,
            Part::Path => Some(without_query(path)),
        });
        let mut operation = Operation::new(found.next().unwrap_or(self.op));
        for part in found {
            operation.push(part);
        }
        operation
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::WORDS;
    use super::*;

    const BOTH: Names<'static> = Names {
        plugin_id: Some("langgenius/openai"),
        unique_identifier: Some("langgenius/tavily:0.1.2@abcdef"),
    };

    fn post(path: &str) -> Asked<'_> {
        describe("POST", path, BOTH)
    }

    #[test]
    fn every_known_operation_is_a_call_of_the_plugin_in_the_header() {
        for word in &WORDS {
            let path = format!("/plugin/7abc/dispatch/{}", word.op);
            let asked = post(&path);
            assert_eq!((asked.op, asked.label()), (word.op, word.op));
            assert_eq!(asked.plugin, Some("langgenius/openai"));
            assert_eq!((asked.version, asked.tenant), (None, Some("7abc")));
            assert_eq!(asked.kind == Kind::Polling, word.op.contains("polling"));
            assert_eq!(asked.learnable(), asked.kind == Kind::Dispatch);
            assert!(!asked.read, "a plugin's call is never a read");
        }
    }

    #[test]
    fn version_two_names_plugin_and_version_in_one_header() {
        let asked = post("/v2/invoke/dispatch/tool/invoke");
        assert_eq!(asked.kind, Kind::Dispatch);
        assert_eq!(asked.plugin, Some("langgenius/tavily"));
        assert_eq!((asked.version, asked.tenant), (Some("0.1.2"), None));
        assert_eq!(identified("a/b"), (Some("a/b"), None));
        assert_eq!(identified("a/b@c"), (Some("a/b"), None));
        assert_eq!(identified(":@"), (None, None));
        assert_eq!(identified(""), (None, None));
    }

    #[test]
    fn paths_are_not_decoded_merged_or_completed() {
        for path in [
            "//plugin/t/dispatch/tool/invoke",
            "/plugin//dispatch/tool/invoke",
            "/plugin/t/dispatch",
            "/plugin/t/dispatch/",
            "/Plugin/t/dispatch/tool/invoke",
            "/v2/invoke/dispatch",
            "/e/",
            "/e",
            "*",
            "",
        ] {
            assert_eq!(post(path).kind, Kind::Other, "{path}");
        }
        assert_eq!(post("/plugin/t/dispatch/tool%2Finvoke").op, "tool%2Finvoke");
        assert_eq!(
            post("/plugin/t/dispatch/tool/invoke?x=/e/").op,
            "tool/invoke"
        );
    }

    #[test]
    fn an_unknown_operation_is_kept_as_text_but_never_as_a_label() {
        let path = format!("/plugin/t/dispatch/{}", "ü".repeat(4000));
        let asked = post(&path);
        assert_eq!(asked.op, "ü".repeat(32));
        assert_eq!(asked.label(), "dispatch");
        assert_eq!(asked.prior(), Class::Short);
        assert_eq!(post("/plugin/t/dispatch/video/invoke").prior(), Class::Long);
    }

    #[test]
    fn the_rest_of_the_table_has_its_kind() {
        for (method, path, kind, read) in [
            ("GET", "/health/check", Kind::Health, true),
            ("HEAD", "/health/check", Kind::Other, false),
            ("GET", "/metrics/", Kind::Other, true),
            ("GET", "/plugin/t/dispatch/tool/invoke", Kind::Other, false),
            ("GET", "/v2/invoke/extract", Kind::Management, true),
            (
                "GET",
                "/plugin/t/management/models?page=1",
                Kind::Management,
                true,
            ),
            (
                "POST",
                "/plugin/t/management/tools/check_existence",
                Kind::Management,
                true,
            ),
            (
                "POST",
                "/plugin/t/management/install/identifiers",
                Kind::Management,
                false,
            ),
            ("GET", "/plugin/t/endpoint/list", Kind::Management, true),
            ("POST", "/plugin/t/endpoint/setup", Kind::Management, false),
            ("POST", "/plugin/t/debugging/key", Kind::Management, false),
            (
                "POST",
                "/admin/plugin/serverless/reinstall",
                Kind::Management,
                false,
            ),
            ("GET", "/plugin/t/asset/abc.png", Kind::Asset, true),
            (
                "GET",
                "/plugin/t/extract-asset/?file_path=x",
                Kind::Asset,
                true,
            ),
            (
                "POST",
                "/backwards-invocation/transaction",
                Kind::Transaction,
                false,
            ),
            ("PATCH", "/e/hook/x", Kind::Other, false),
            ("GET", "/debug/pprof/heap", Kind::Other, false),
        ] {
            let asked = describe(method, path, Names::default());
            assert_eq!((asked.kind, asked.read), (kind, read), "{method} {path}");
            assert!(!asked.learnable(), "{method} {path}");
        }
    }

    #[test]
    fn models_and_services_are_waited_for_and_tools_compute() {
        let io_bound = |op: &str| post(&format!("/plugin/t/dispatch/{op}")).io_bound();
        for op in [
            "llm/invoke",
            "text_embedding/invoke",
            "multimodal_embedding/invoke",
            "rerank/invoke",
            "agent_strategy/invoke",
        ] {
            assert!(io_bound(op), "{op}");
        }
        for op in [
            "tool/invoke",
            "llm/num_tokens",
            "datasource/get_website_crawl",
        ] {
            assert!(!io_bound(op), "{op}");
        }
    }

    #[test]
    fn a_hook_is_its_own_plugin() {
        for path in ["/e/h00k/a/b?c", "/e/h00k/", "/e/h00k"] {
            let asked = describe("GET", path, BOTH);
            assert_eq!((asked.kind, asked.op), (Kind::Hook, "e"));
            assert_eq!((asked.plugin, asked.version), (Some("h00k"), None));
            assert!(asked.learnable() && !asked.read);
        }
    }

    #[test]
    fn leaving_after_the_first_event_is_success_where_dify_reads_only_one() {
        let single = |op: &str| post(&format!("/plugin/t/dispatch/{op}")).single_result();
        assert!(single("text_embedding/invoke") && single("llm/num_tokens"));
        assert!(single("trigger/invoke_event") && single("oauth/get_credentials"));
        assert!(!single("llm/invoke") && !single("agent_strategy/invoke"));
        assert!(!single("model/polling/start") && !single("unheard/of"));
    }

    #[test]
    fn keys_nest_in_the_order_asked_for_and_skip_what_is_missing() {
        use Part::{Item, Op, Path, Plugin, Tenant, Version};
        let path = "/plugin/7abc/dispatch/tool/invoke?x=1";
        let asked = post(path);
        let key = |parts: &[Part], item| asked.operation(parts, item, path).to_string();
        assert_eq!(
            key(&[Op, Plugin, Item], Some("google|search")),
            "tool/invoke|langgenius/openai|google|search"
        );
        assert_eq!(
            key(&[Op, Plugin, Item], None),
            "tool/invoke|langgenius/openai"
        );
        assert_eq!(key(&[Op, Version, Tenant], None), "tool/invoke|7abc");
        assert_eq!(key(&[Path], None), "/plugin/7abc/dispatch/tool/invoke");
        assert_eq!(key(&[Item], None), "tool/invoke", "a key is never empty");
        assert_eq!(key(&[], None), "tool/invoke");
    }

    proptest::proptest! {
        #[test]
        fn no_path_breaks_it(method in "[A-Z]{0,7}", path in "(/e/|/plugin/|/v2/invoke/dispatch/)?.{0,200}", id in ".{0,80}") {
            let names = Names { plugin_id: Some(&id), unique_identifier: Some(&id) };
            let asked = describe(&method, &path, names);
            let key = asked.operation(&Part::ALL, Some(&id), &path);
            proptest::prop_assert!(asked.op.len() <= 64 && !key.as_str().is_empty());
            let _ = (asked.prior(), asked.single_result(), asked.label());
        }
    }
}
