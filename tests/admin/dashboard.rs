//! The dashboard in a real browser: it loads, follows, acts when confirmed, and complains about
//! nothing.

use crate::rig::{PLUGIN, Rig, sim};
use crate::support::browser::Browser;
use crate::support::within;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use twolane::demo::daemon::{Plugin, Stop};
use twolane::learn::Classifier;
use twolane::model::{Operation, Sample, clock};

/// Keys of WebDriver.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

async fn at_dashboard(rig: &Rig, (width, height): (u32, u32)) -> Browser {
    let browser = Browser::open(width, height).await;
    browser
        .visit(&format!("http://{}/", rig.gateway.embedded.admin()))
        .await;
    browser
        .until("document.querySelectorAll('#node-rows tr').length > 0")
        .await;
    // The same language and light on every machine.
    browser
        .run("localStorage.setItem('lang', 'en'); localStorage.setItem('theme', 'light'); location.reload();")
        .await;
    browser.until("document.documentElement.lang === 'en' && document.querySelectorAll('#node-rows tr').length > 0").await;
    browser
}

/// Calls of several kinds, a few at once.
async fn traffic(rig: &Rig, rounds: usize) {
    let kinds = [
        ("tool/invoke", PLUGIN, 15, 6),
        ("text_embedding/invoke", "langgenius/cohere", 9, 5),
        ("tool/invoke", "acme/search", 60, 3),
        ("llm/invoke", "langgenius/anthropic", 1400, 2),
        ("agent_strategy/invoke", "langgenius/agent", 2300, 1),
    ];
    let mut calls = JoinSet::new();
    for round in 0..rounds {
        for (op, plugin, ms, times) in kinds {
            for n in 0..times {
                let dify = rig.gateway.dify();
                let ms = ms + (round * 31 + n * 17) as u64 % (ms / 2);
                let script = sim(json!({"ttfb_ms": ms, "events": 1, "gap_ms": 0}));
                calls.spawn(async move { dify.all(op, plugin, script).await.is_ok() });
            }
        }
        let all = async { while calls.join_next().await.is_some() {} };
        within("a round of calls", all).await;
    }
}

async fn goes_down(rig: &Rig, browser: &Browser) {
    rig.nodes[1].stop(Stop::Cut).await;
    browser
        .until("document.querySelector('#node-rows .light.down')")
        .await;
    browser
        .until("document.getElementById('notice-rows').textContent.includes('n2 is down')")
        .await;
    browser.until("document.title.startsWith('(!)')").await;
    browser.keep("dashboard-node-down.png").await;
}

async fn speaks_chinese_and_turns_dark(browser: &Browser) {
    browser.run("document.getElementById('lang').click()").await;
    browser
        .until("document.getElementById('h-nodes').textContent.includes('节点')")
        .await;
    browser.keep("dashboard-chinese.png").await;
    browser
        .run("document.getElementById('lang').click(); document.getElementById('theme').click()")
        .await;
    let ground = browser
        .run("return getComputedStyle(document.documentElement).backgroundColor")
        .await;
    assert_eq!(ground, "rgb(18, 22, 27)", "it is dark now");
    browser.keep("dashboard-dark.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f084_the_page_loads_follows_and_shows_what_was_learned_and_decided() {
    let rig = Rig::new(3, "max_in_flight: 8\nlearn: { long_threshold: 1s }\n").await;
    let browser = at_dashboard(&rig, (1440, 1180)).await;
    browser
        .until("document.getElementById('verdict').textContent === 'All nodes up'")
        .await;
    browser.keep("dashboard-idle.png").await;
    let rows = browser
        .run("return document.querySelectorAll('#node-rows tr').length")
        .await;
    assert_eq!(rows, 3, "a row for each node");
    traffic(&rig, 4).await;
    browser
        .until("document.querySelectorAll('#dec-rows tr').length > 20")
        .await;
    browser
        .until("document.querySelector('#op-rows').textContent.includes('llm/invoke')")
        .await;
    browser
        .until("document.querySelector('#node-rows').textContent.includes(' ms')")
        .await;
    browser
        .run("document.querySelector('#dec-rows').closest('.scroll').scrollTop = 0")
        .await;
    let held = rig.gateway.dify();
    let hang = || sim(json!({"fail": "hang"}));
    let mut open = Vec::new();
    for n in 0..11 {
        let op = if n % 3 == 0 {
            "llm/invoke"
        } else {
            "tool/invoke"
        };
        open.push(held.open(op, "langgenius/anthropic", hang()).await.unwrap());
    }
    browser
        .until("Number(document.querySelector('#fleet-rows td.n').textContent) >= 11")
        .await;
    browser.keep("dashboard-load.png").await;
    goes_down(&rig, &browser).await;
    speaks_chinese_and_turns_dark(&browser).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn f084_a_node_is_drained_by_keyboard_and_only_when_that_is_confirmed() {
    let rig = Rig::new(2, "").await;
    let browser = at_dashboard(&rig, (1280, 900)).await;
    let state = async || rig.get("/api/v1/nodes/n1").await["state"].clone();
    // Tab goes to it: no mouse is needed anywhere.
    let mut reached = false;
    for _ in 0..20 {
        browser.press(&[TAB]).await;
        reached = browser
            .run("return document.activeElement.getAttribute('aria-label') === 'Drain n1'")
            .await
            == true;
        if reached {
            break;
        }
    }
    assert!(reached, "the button can be reached by Tab");
    browser.press(&[ENTER]).await;
    browser.until("document.getElementById('sure').open").await;
    browser.press(&[ESCAPE]).await;
    browser.until("!document.getElementById('sure').open").await;
    assert_eq!(state().await, "ready", "it was not confirmed");
    browser
        .until("document.activeElement.getAttribute('aria-label') === 'Drain n1'")
        .await;
    browser.press(&[ENTER]).await;
    browser.until("document.getElementById('sure').open").await;
    browser.press(&[TAB, ENTER]).await;
    browser
        .until("document.querySelector('#node-rows .light.drain')")
        .await;
    assert_eq!(state().await, "drain");
    browser
        .until("document.getElementById('told').textContent.includes('Drain n1')")
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_pinned_from_the_page_and_names_cannot_become_markup() {
    let rig = Rig::new(1, "").await;
    let evil = "tool/invoke|<img src=x onerror=\"document.title='owned'\">";
    let mut operation = Operation::new("tool/invoke");
    operation.push("<img src=x onerror=\"document.title='owned'\">");
    let live = rig.gateway.embedded.live();
    let sample = Sample {
        duration: Duration::from_millis(80),
        censored: false,
    };
    (0..5).for_each(|_| live.learner.learn(&operation, sample, clock::now()));
    let browser = at_dashboard(&rig, (1280, 900)).await;
    browser
        .until("document.querySelector('#op-rows').textContent.includes('<img')")
        .await;
    browser.run("[...document.querySelectorAll('#op-rows tr')].find((row) => row.dataset.key.includes('<img')).querySelector('button').click()").await;
    browser.until("document.getElementById('sure').open").await;
    browser
        .run("document.getElementById('sure-yes').click()")
        .await;
    browser
        .until("document.querySelector('#op-rows').textContent.includes('pinned here')")
        .await;
    let pins = rig.get("/api/v1/operations").await["pins"].clone();
    assert_eq!(pins, json!([{"key": evil, "class": "long"}]));
    assert_eq!(browser.run("return document.images.length").await, 0);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_hundred_nodes_and_ten_thousand_operations_the_page_shows_a_page() {
    let mut yaml = "health: { enabled: false }\nlearn: { max_keys: 20000 }\nnodes:\n".to_owned();
    for n in 0..200 {
        yaml.push_str(&format!("  - {{ id: n{n}, address: \"127.1.0.{n}:9\" }}\n"));
    }
    let rig = Rig::new(0, &yaml).await;
    let live = rig.gateway.embedded.live();
    let sample = Sample {
        duration: Duration::from_millis(80),
        censored: false,
    };
    for n in 0..10_000 {
        let mut operation = Operation::new("tool/invoke");
        operation.push(&format!("acme/p{n}"));
        live.learner.learn(&operation, sample, clock::now());
    }
    let browser = at_dashboard(&rig, (1280, 900)).await;
    browser
        .until("document.querySelectorAll('#op-rows tr').length === 15")
        .await;
    let count = |what: &str| format!("return document.querySelectorAll('{what}').length");
    assert_eq!(browser.run(&count("#node-rows tr")).await, 25);
    browser
        .run("[...document.querySelectorAll('#nodes-pages button')].at(-1).click()")
        .await;
    browser
        .until("document.querySelector('#node-rows').textContent.includes('n49')")
        .await;
    let search = "const box = document.getElementById('ops-search'); box.value = 'acme/p9999'; box.dispatchEvent(new Event('input'))";
    browser.run(search).await;
    browser
        .until("document.querySelectorAll('#op-rows tr').length === 1")
        .await;
    let elements: Value = browser.run(&count("*")).await;
    assert!(elements.as_u64().unwrap() < 2500, "{elements} elements");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_nobody_else_and_is_shown_by_nobody_else() {
    let rig = Rig::new(1, "").await;
    let page = rig.gateway.admin("/ui/").await;
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("X-Frame-Options"), Some("DENY"));
    for asset in ["/ui/", "/ui/style.css", "/ui/app.js", "/ui/words.js"] {
        let asset = rig.gateway.admin(asset).await;
        assert_eq!(asset.status, 200);
        // The name of a namespace is no address.
        let text = asset.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML")
        );
    }
    let home = rig.gateway.admin("/").await;
    assert_eq!((home.status, home.header("Location")), (302, Some("/ui/")));
    // Every word is there in both languages.
    let browser = at_dashboard(&rig, (1000, 700)).await;
    let differ = "const [en, zh] = [Object.keys(WORDS.en), Object.keys(WORDS.zh)]; \
                  return [...en.filter((k) => !zh.includes(k)), ...zh.filter((k) => !en.includes(k))];";
    assert_eq!(browser.run(differ).await, json!([]));
    let missing = "return [...document.querySelectorAll('[data-w]')].map((one) => one.dataset.w).filter((key) => !(key in WORDS.en));";
    assert_eq!(browser.run(missing).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn f084_what_pools_expect_is_a_table_and_what_is_missing_is_counted() {
    let expects = format!("expects: {{ plugins: [{PLUGIN}, acme/other], every: 100ms }}\n");
    let rig = Rig::new(2, &expects).await;
    rig.nodes[0].put_plugin(Plugin::running("acme/other"));
    for node in &rig.nodes {
        node.put_plugin(Plugin::running(PLUGIN));
    }
    let browser = at_dashboard(&rig, (1200, 900)).await;
    browser
        .until("document.querySelectorAll('#plugin-rows tr').length === 4")
        .await;
    let row = |node: &str, plugin: &str, state: &str| {
        format!(
            "[...document.querySelectorAll('#plugin-rows tr')].some((row) => \
             row.dataset.key === '{node} {plugin}' && row.textContent.includes('{state}'))"
        )
    };
    browser.until(&row("n1", "acme/other", "present")).await;
    browser.until(&row("n2", "acme/other", "missing")).await;
    browser
        .until("document.getElementById('plugins-count').textContent === '1 missing'")
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
