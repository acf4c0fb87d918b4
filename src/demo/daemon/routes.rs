//! Which path is what?
use super::answer::Answer;
use super::exchange::{End, Exchange};
use super::settings::Settings;
use super::{dispatch, envelope, health, hook, management};

/// Every operation after `/dispatch/` that streams or answers events.
pub const OPERATIONS: [&str; 34] = [
    "llm/invoke",
    "llm/num_tokens",
    "text_embedding/invoke",
    "text_embedding/num_tokens",
    "multimodal_embedding/invoke",
    "rerank/invoke",
    "multimodal_rerank/invoke",
    "tts/invoke",
    "tts/model/voices",
    "speech2text/invoke",
    "moderation/invoke",
    "model/validate_provider_credentials",
    "model/validate_model_credentials",
    "model/schema",
    "tool/invoke",
    "tool/validate_credentials",
    "tool/get_runtime_parameters",
    "agent_strategy/invoke",
    "oauth/get_authorization_url",
    "oauth/get_credentials",
    "oauth/refresh_credentials",
    "dynamic_select/fetch_parameter_options",
    "datasource/validate_credentials",
    "datasource/get_website_crawl",
    "datasource/get_online_document_pages",
    "datasource/get_online_document_page_content",
    "datasource/online_drive_browse_files",
    "datasource/online_drive_download_file",
    "trigger/validate_credentials",
    "trigger/invoke_event",
    "trigger/dispatch_event",
    "trigger/subscribe",
    "trigger/unsubscribe",
    "trigger/refresh",
];

const POLLING: [&str; 2] = ["model/polling/start", "model/polling/check"];

/// Operations that send many events; all others send one, and Dify closes after it.
const STREAMS: [&str; 9] = [
    "llm/invoke",
    "tts/invoke",
    "tool/invoke",
    "agent_strategy/invoke",
    "datasource/get_website_crawl",
    "datasource/get_online_document_pages",
    "datasource/get_online_document_page_content",
    "datasource/online_drive_browse_files",
    "datasource/online_drive_download_file",
];

const READS: [&str; 17] = [
    "install/tasks",
    "decode/from_identifier",
    "fetch/manifest",
    "fetch/identifier",
    "fetch/readme",
    "list",
    "installation/ids",
    "models",
    "models/bindings",
    "tools",
    "tool",
    "triggers",
    "trigger",
    "agent_strategies",
    "agent_strategy",
    "datasources",
    "datasource",
];

const WRITES: [&str; 9] = [
    "install/upload/package",
    "install/upload/bundle",
    "install/identifiers",
    "install/upgrade",
    "install/tasks/delete_all",
    "uninstall",
    "installation/fetch/batch",
    "installation/missing",
    "tools/check_existence",
];

/// Whether Dify takes the first event of this operation and closes the socket.
#[must_use]
pub fn answers_once(op: &str) -> bool {
    !STREAMS.contains(&op)
}

/// Whether the answer is one JSON document.
pub(super) fn is_polling(op: &str) -> bool {
    POLLING.contains(&op)
}

/// What a request asks for. Borrows from its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'p> {
    Health,
    Metrics,
    /// `/plugin/:tenant/dispatch/<op>`
    Dispatch(&'p str),
    /// `/v2/invoke/dispatch/<op>`
    DispatchV2(&'p str),
    /// Everything else that needs the key; what follows `/plugin/:tenant/` or `/v2/invoke/`.
    Manage(&'p str),
    Hook {
        hook: &'p str,
        path: &'p str,
    },
}

/// Answers one request.
pub(super) async fn answer(x: &mut Exchange) -> End {
    // The route borrows the path, and the exchange is needed mutably beside it.
    let (method, path) = (x.method.clone(), x.path().to_owned());
    let node = std::sync::Arc::clone(&x.node);
    match resolve(&node.settings, &method, &path) {
        Some(Route::Health) => health::check(x).await,
        Some(Route::Metrics) => health::metrics(x).await,
        Some(Route::Dispatch(op)) => dispatch::answer(x, op, "X-Plugin-ID").await,
        Some(Route::DispatchV2(op)) => dispatch::answer(x, op, "X-Plugin-Unique-Identifier").await,
        Some(Route::Manage(rest)) => management::answer(x, rest).await,
        Some(Route::Hook { hook, path }) => hook::answer(x, hook, path).await,
        None => match slash_toggled(&node.settings, &method, &path) {
            Some(other) => redirect(x, &other).await,
            None => x.reply(Answer::json(404, envelope::NO_ROUTE)).await,
        },
    }
}

/// gin's `RedirectTrailingSlash`: the route exists with, or without, a slash at its end.
fn slash_toggled(settings: &Settings, method: &str, path: &str) -> Option<String> {
    let other = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    resolve(settings, method, &other).is_some().then_some(other)
}

async fn redirect(x: &mut Exchange, path: &str) -> End {
    let location = match x.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let answer = if x.method == "GET" {
        let body = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        Answer::new(301, "text/html; charset=utf-8", body)
    } else {
        Answer::bare(307)
    };
    x.reply(answer.with("Location", location)).await
}

/// The route of a method and a path; `None` is the daemon's 404.
pub(super) fn resolve<'p>(settings: &Settings, method: &str, path: &'p str) -> Option<Route<'p>> {
    match (method, path) {
        ("GET", "/health/check") => return Some(Route::Health),
        ("GET", "/metrics/") => return settings.metrics.then_some(Route::Metrics),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/e/") {
        return hook_route(method, rest);
    }
    if let Some(rest) = path.strip_prefix("/v2/invoke/").filter(|_| settings.v2) {
        return match (method, rest.strip_prefix("dispatch/")) {
            ("POST", Some(op)) => known_op(settings, op).then_some(Route::DispatchV2(op)),
            ("GET", None) if rest == "extract" => Some(Route::Manage(rest)),
            _ => None,
        };
    }
    let (tenant, rest) = path.strip_prefix("/plugin/")?.split_once('/')?;
    if tenant.is_empty() {
        return None;
    }
    if let Some(op) = rest.strip_prefix("dispatch/") {
        return (method == "POST" && known_op(settings, op)).then_some(Route::Dispatch(op));
    }
    managed(method, rest).then_some(Route::Manage(rest))
}

fn hook_route<'p>(method: &str, rest: &'p str) -> Option<Route<'p>> {
    let served = ["HEAD", "POST", "GET", "PUT", "DELETE", "OPTIONS"].contains(&method);
    let at = rest.find('/').filter(|at| *at > 0 && served)?;
    let (hook, path) = rest.split_at(at);
    Some(Route::Hook { hook, path })
}

fn known_op(settings: &Settings, op: &str) -> bool {
    OPERATIONS.contains(&op) || (settings.polling && is_polling(op))
}

fn managed(method: &str, rest: &str) -> bool {
    if let Some(rest) = rest.strip_prefix("management/") {
        let task = rest.strip_prefix("install/tasks/");
        return match method {
            "GET" => {
                READS.contains(&rest)
                    || task.is_some_and(is_segment)
                    || rest.strip_suffix("/list").is_some_and(is_segment)
            }
            "POST" => WRITES.contains(&rest) || task.is_some_and(is_task_deletion),
            _ => false,
        };
    }
    let asset = rest.strip_prefix("asset/");
    match method {
        "GET" => {
            asset.is_some_and(is_segment)
                || ["extract-asset/", "endpoint/list", "endpoint/list/plugin"].contains(&rest)
        }
        "POST" => {
            let verb = rest.strip_prefix("endpoint/");
            rest == "debugging/key"
                || verb.is_some_and(|verb| {
                    ["setup", "remove", "update", "enable", "disable"].contains(&verb)
                })
        }
        _ => false,
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

/// `:id/delete` or `:id/delete/*identifier`, whose identifier has slashes of its own.
fn is_task_deletion(rest: &str) -> bool {
    let Some((id, verb)) = rest.split_once('/') else {
        return false;
    };
    !id.is_empty() && (verb == "delete" || verb.starts_with("delete/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route<'p>(method: &str, path: &'p str) -> Option<Route<'p>> {
        resolve(&Settings::default(), method, path)
    }

    #[test]
    fn knows_its_routes() {
        use Route::{Dispatch, DispatchV2, Health, Hook, Manage, Metrics};
        for (method, path, expected) in [
            ("GET", "/health/check", Some(Health)),
            ("HEAD", "/health/check", None),
            ("GET", "/metrics/", Some(Metrics)),
            (
                "POST",
                "/plugin/t/dispatch/tool/invoke",
                Some(Dispatch("tool/invoke")),
            ),
            ("GET", "/plugin/t/dispatch/tool/invoke", None),
            ("POST", "/plugin/t/dispatch/tool/unheard", None),
            ("POST", "/plugin//dispatch/tool/invoke", None),
            (
                "POST",
                "/v2/invoke/dispatch/llm/invoke",
                Some(DispatchV2("llm/invoke")),
            ),
            ("GET", "/v2/invoke/extract", Some(Manage("extract"))),
            (
                "GET",
                "/plugin/t/management/models",
                Some(Manage("management/models")),
            ),
            (
                "GET",
                "/plugin/t/extract-asset/",
                Some(Manage("extract-asset/")),
            ),
            ("GET", "/plugin/t/extract-asset", None),
            ("PATCH", "/e/hook/a", None),
            (
                "PUT",
                "/e/hook/a/b",
                Some(Hook {
                    hook: "hook",
                    path: "/a/b",
                }),
            ),
            ("GET", "/e/hook", None),
            ("GET", "/", None),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
        let deletion = "/plugin/t/management/install/tasks/7/delete/langgenius/openai:0.0.1@abcd";
        assert!(route("POST", deletion).is_some());
    }

    #[test]
    fn an_older_version_lacks_the_newer_routes() {
        let old = Settings {
            v2: false,
            polling: false,
            metrics: false,
            ..Settings::default()
        };
        for (method, path) in [
            ("POST", "/v2/invoke/dispatch/tool/invoke"),
            ("POST", "/plugin/t/dispatch/model/polling/start"),
            ("GET", "/metrics/"),
        ] {
            assert!(route(method, path).is_some(), "{path}");
            assert!(resolve(&old, method, path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_slash_too_much_or_too_few_is_forgiven_where_the_route_exists() {
        let toggled = |method, path| slash_toggled(&Settings::default(), method, path);
        assert_eq!(
            toggled("GET", "/health/check/").as_deref(),
            Some("/health/check")
        );
        assert_eq!(toggled("GET", "/metrics").as_deref(), Some("/metrics/"));
        assert_eq!(toggled("GET", "/e/hook").as_deref(), Some("/e/hook/"));
        assert_eq!(toggled("GET", "/nowhere/"), None);
    }
}
