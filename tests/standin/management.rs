//! Lists, uploads, assets.
use crate::start;
use serde_json::json;
use twolane::demo::daemon::Settings;

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_small_or_two_megabytes() {
    let (_daemon, dify) = start(Settings::default()).await;
    let small = dify
        .get("/plugin/t/management/list?page=1&page_size=100")
        .await;
    assert!(
        (900..1500).contains(&small.body.len()),
        "{}",
        small.body.len()
    );
    assert_eq!(small.json()["data"][0]["node"], "n1");
    let large = dify
        .get("/plugin/t/management/models?page=1&page_size=256")
        .await;
    assert!(large.body.len() >= 2_000_000);
    assert_eq!(
        large.header("Content-Length"),
        Some(large.body.len().to_string().as_str())
    );
    assert_eq!(dify.get("/plugin/t/management/tool/list").await.status, 200);
    let batch = dify
        .post("/plugin/t/management/installation/fetch/batch", &json!({}))
        .await;
    assert_eq!(batch.json()["code"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_plugin_tree_wants_the_key() {
    let settings = Settings {
        api_key: Some("secret".to_owned()),
        ..Settings::default()
    };
    let (_daemon, dify) = start(settings).await;
    for target in [
        "/plugin/t/management/list",
        "/plugin/t/asset/a.png",
        "/v2/invoke/extract",
    ] {
        assert_eq!(dify.get(target).await.status, 401, "{target}");
    }
    assert_eq!(dify.get("/health/check").await.status, 200);
    assert_eq!(dify.get("/e/hook/").await.status, 200);
    let key = [("X-Api-Key", "secret")];
    let with_key = dify
        .raw("GET", "/plugin/t/management/list", &key, b"")
        .await
        .unwrap();
    assert_eq!(with_key.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_read_fully_and_a_large_one_is_refused_by_a_200() {
    let settings = Settings {
        package_limit: 1_000_000,
        ..Settings::default()
    };
    let (daemon, dify) = start(settings).await;
    let target = "/plugin/t/management/install/upload/package";
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    for (bytes, code) in [(900_000, 0), (1_200_000, -400)] {
        let part = "Content-Disposition: form-data; name=\"dify_pkg\"; filename=\"p\"";
        let body = format!("--b\r\n{part}\r\n\r\n{}\r\n--b--\r\n", "p".repeat(bytes));
        let answer = dify
            .raw("POST", target, &headers, body.as_bytes())
            .await
            .unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(code)));
        assert_eq!(daemon.requests().pop().unwrap().body_len, body.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_asset_is_an_empty_success() {
    let (daemon, dify) = start(Settings::default()).await;
    daemon.world().put_asset("abc.png", "picture");
    let there = dify.get("/plugin/t/asset/abc.png").await;
    assert_eq!((there.status, there.text()), (200, "picture"));
    let missing = dify.get("/plugin/t/asset/missing.png").await;
    assert_eq!((missing.status, missing.body.len()), (200, 0));
    assert_eq!(
        missing.header("Content-Type"),
        Some("application/octet-stream")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_and_keys_answer() {
    let (_daemon, dify) = start(Settings::default()).await;
    assert_eq!(
        dify.post("/plugin/t/endpoint/setup", &json!({}))
            .await
            .json()["data"],
        true
    );
    let key = dify
        .post("/plugin/t/debugging/key", &json!({}))
        .await
        .json();
    assert_eq!(key["data"]["key"].as_str().unwrap().len(), 36);
    assert_eq!(
        dify.get("/plugin/t/extract-asset/?file_path=a")
            .await
            .status,
        200
    );
}
