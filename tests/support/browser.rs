//! A real Chromium, driven by WebDriver's own protocol over `chromedriver`.

use super::client::Dify;
use super::program::free;
use super::{eventually, within};
use base64::Engine;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What a browser needs to stay by itself and run as root in a container.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// One window. The browser ends when it is dropped.
pub struct Browser {
    driver: Child,
    session: String,
    wire: Dify,
    _folder: TempDir,
}

/// Where a program is, if it is anywhere.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path);
    folders.find_map(|folder| Some(folder.join(name)).filter(|place| place.is_file()))
}

impl Browser {
    /// Opens a window of this size. Without Chromium the test fails and says what installs it.
    pub async fn open(width: u32, height: u32) -> Self {
        let driver = find("chromedriver")
            .expect("chromedriver is not installed: `make setup` installs it (chromium-driver)");
        let port = free();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let driver = Command::new(driver)
            .arg(format!("--port={}", port.port()))
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut browser = Self {
            driver,
            session: String::new(),
            wire: Dify::new(port, None),
            _folder: folder,
        };
        eventually("chromedriver answers", async || {
            let answer = browser.wire.raw("GET", "/status", &[], b"").await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        let mut flags: Vec<_> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--window-size={width},{height}"));
        let profile = browser._folder.path().join("profile");
        flags.push(format!("--user-data-dir={}", profile.display()));
        flags.push("--lang=en".to_owned());
        let wish = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.ask("POST", "/session", &wish).await;
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let asked = self.wire.raw(method, path, &[], body.as_bytes());
        let answer = within("the browser answers", asked)
            .await
            .expect("an answer");
        let value = answer.json()["value"].clone();
        assert_eq!(answer.status, 200, "{method} {path}: {value}");
        value
    }

    async fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
            .await
    }

    /// Opens a page.
    pub async fn visit(&self, address: &str) {
        self.of_session("POST", "/url", &json!({ "url": address }))
            .await;
    }

    /// Runs a script in the page, and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.of_session("POST", "/execute/sync", &body).await
    }

    /// Waits until an expression in the page is true.
    pub async fn until(&self, expression: &str) {
        eventually(expression, async || {
            self.run(&format!("return Boolean({expression})")).await == true
        })
        .await;
    }

    /// Types keys, as a person does: at whatever has the focus.
    pub async fn press(&self, keys: &[&str]) {
        let each = keys.iter().flat_map(|key| {
            [
                json!({"type": "keyDown", "value": key}),
                json!({"type": "keyUp", "value": key}),
            ]
        });
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": each.collect::<Vec<_>>()}]});
        self.of_session("POST", "/actions", &actions).await;
    }

    /// The lines of the console that are warnings or errors since the last time.
    pub async fn complaints(&self) -> Vec<String> {
        let lines = self
            .of_session("POST", "/se/log", &json!({"type": "browser"}))
            .await;
        let lines = lines.as_array().cloned().unwrap_or_default();
        let bad = lines
            .into_iter()
            .filter(|line| line["level"] != "INFO" && line["level"] != "DEBUG");
        bad.map(|line| line["message"].to_string()).collect()
    }

    /// Keeps a picture of the window, where `TWOLANE_SCREENSHOTS` names a folder for them.
    pub async fn keep(&self, name: &str) {
        let Some(folder) = std::env::var_os("TWOLANE_SCREENSHOTS") else {
            return;
        };
        let picture = self.of_session("GET", "/screenshot", &Value::Null).await;
        let picture = picture.as_str().expect("a picture in base64");
        let picture = base64::engine::general_purpose::STANDARD
            .decode(picture)
            .expect("base64");
        let file = Path::new(&folder).join(name);
        std::fs::write(file, picture).expect("the picture can be written");
    }
}

/// A browser that does not end for so long is left to its driver's end.
const GOODBYE: Duration = Duration::from_secs(5);

impl Drop for Browser {
    fn drop(&mut self) {
        // With the driver its browser ends; it is asked first, so that no process is left.
        let end = self.wire.clone();
        let path = format!("/session/{}", self.session);
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| {
                let asked = end.raw("DELETE", &path, &[], b"");
                // Inside, as the timer belongs to the runtime.
                runtime.block_on(async { tokio::time::timeout(GOODBYE, asked).await.is_ok() })
            })
        });
        let _ended = asked.join();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
