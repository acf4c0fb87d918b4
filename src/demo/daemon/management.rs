//! What do the routes answer that run no plugin? Lists, uploads, assets.
use super::answer::Answer;
use super::envelope;
use super::exchange::{End, Exchange};
use super::install;
use super::seen::checksum;
use bytes::Bytes;
use serde_json::{Value, json};

/// Size of an ordinary list, bytes.
const SMALL_LIST: usize = 1024;

/// Answers what follows `/plugin/:tenant/` (or `/v2/invoke/`).
pub(super) async fn answer(x: &mut Exchange, rest: &str) -> End {
    if !x.key_fits() {
        return x.reply(Answer::json(401, envelope::unauthorized())).await;
    }
    if let Some(id) = rest.strip_prefix("asset/") {
        let content = x.node.world().asset(id).unwrap_or_default();
        return octets(x, content).await;
    }
    if rest == "extract-asset/" {
        return octets(x, Bytes::new()).await;
    }
    if x.method == "GET" {
        return read(x, rest.strip_prefix("management/").unwrap_or(rest)).await;
    }
    let Some(body) = x.read_body(usize::MAX).await else {
        return End::Close;
    };
    write(
        x,
        rest.strip_prefix("management/").unwrap_or(rest),
        &body.bytes,
    )
    .await
}

async fn read(x: &mut Exchange, rest: &str) -> End {
    if let Some(id) = rest.strip_prefix("install/tasks/") {
        return match x.node.world().task(id) {
            Some(task) => success(x, &task).await,
            None => {
                x.reply(Answer::json(
                    404,
                    envelope::error(-404, "NotFoundError", "task not found"),
                ))
                .await
            }
        };
    }
    let data = match rest {
        "install/tasks" => json!(x.node.world().tasks()),
        "models"
            if x.query()
                .is_some_and(|query| query.contains("page_size=256")) =>
        {
            list(x, x.node.settings.large_list_bytes)
        }
        _ => list(x, SMALL_LIST),
    };
    success(x, &data).await
}

/// A list whose JSON is about `bytes` long, and which tells who answered.
fn list(x: &Exchange, bytes: usize) -> Value {
    const ITEM: usize = 1000;
    let item = |n: usize| json!({"node": x.node.id(), "n": n, "declaration": "d".repeat(ITEM)});
    json!((0..(bytes / ITEM).max(1)).map(item).collect::<Vec<_>>())
}

async fn write(x: &mut Exchange, rest: &str, body: &Bytes) -> End {
    let parsed = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let done = json!(true);
    match rest {
        "install/upload/package" => upload(x, body).await,
        "install/upload/bundle" => success(x, &json!([package(body)])).await,
        "install/identifiers" | "install/upgrade" => {
            let answer = install::begin(&x.node, &x.power, &parsed);
            success(x, &answer).await
        }
        "uninstall" => match install::uninstall(x, &parsed).await {
            Some(()) => success(x, &done).await,
            None => End::Close,
        },
        "install/tasks/delete_all" => {
            x.node.world().forget_tasks();
            success(x, &done).await
        }
        "debugging/key" => {
            let key = format!("00000000-0000-4000-8000-{:012x}", x.node.world().number());
            success(x, &json!({"key": key})).await
        }
        "installation/fetch/batch" | "installation/missing" | "tools/check_existence" => {
            let data = list(x, SMALL_LIST);
            success(x, &data).await
        }
        _ => {
            if let Some((id, _)) = rest
                .strip_prefix("install/tasks/")
                .and_then(|r| r.split_once('/'))
            {
                x.node.world().forget_task(id);
            }
            success(x, &done).await
        }
    }
}

/// The size is looked at after everything was read, and a refusal is a 200.
async fn upload(x: &mut Exchange, body: &Bytes) -> End {
    if body.len() as u64 > x.node.settings.package_limit {
        let refusal = envelope::bad_request("file size exceeds the maximum limit");
        return x.reply(Answer::json(200, refusal)).await;
    }
    success(x, &package(body)).await
}

fn package(body: &Bytes) -> Value {
    let sum = checksum(body);
    json!({"unique_identifier": format!("author/uploaded:0.0.1@{sum:016x}"), "bytes": body.len()})
}

async fn success(x: &mut Exchange, data: &Value) -> End {
    x.reply(Answer::json(200, envelope::success(data))).await
}

async fn octets(x: &mut Exchange, content: Bytes) -> End {
    x.reply(Answer::new(200, "application/octet-stream", content))
        .await
}
