//! A headless Chromium, told what to do by the DevTools protocol over a pipe: JSON, each message ended by a null.
//!
//! The dozen commands that are needed here are sent as they are. The crates that speak the protocol compile
//! bindings for all of it: `chromiumoxide` brings 150 crates and takes longer to build than all of the console.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

/// Debian's names of it, the smaller one first.
const PROGRAMS: [&str; 2] = ["chromium-headless-shell", "chromium"];

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A browser with one page.
pub(crate) struct Browser {
    stdin: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    waiting: Waiting,
    complaints: Arc<Mutex<Vec<String>>>,
    session: String,
    _process: Child,
}

impl Browser {
    /// Starts it; `profile` is for what it keeps.
    pub(crate) async fn start(profile: &Path) -> Browser {
        let mut process = launch(profile);
        let stdin = tokio::sync::Mutex::new(process.stdin.take().unwrap());
        let (waiting, complaints) = (Waiting::default(), Arc::default());
        let stdout = process.stdout.take().unwrap();
        tokio::spawn(listen(stdout, Arc::clone(&waiting), Arc::clone(&complaints)));
        let mut browser = Browser {
            stdin,
            next: AtomicU64::new(1),
            waiting,
            complaints,
            session: String::new(),
            _process: process,
        };
        let target = browser.tell("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.tell("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.tell(domain, json!({})).await;
        }
        browser.tell("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        browser
    }

    /// Sends a command and waits for its answer.
    async fn tell(&self, method: &str, parameters: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let (done, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, done);
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.stdin.lock().await.write_all(&text).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method}: no answer"));
        let answer = answer.unwrap_or_else(|_| panic!("{method}: the browser has ended"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The value of an expression of JavaScript in the page; a promise is waited for.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.tell("Runtime.evaluate", ask).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page: looked at whenever the page changes.
    pub(crate) async fn until(&self, expression: &str) {
        let promise = format!(
            "new Promise((resolve) => {{ const look = () => {{ let found = false; \
             try {{ found = Boolean({expression}) }} catch {{}} \
             if (found) {{ watch.disconnect(); clearInterval(timer); resolve(true) }} \
             else if (Date.now() > end) {{ watch.disconnect(); clearInterval(timer); resolve(false) }} }}; \
             const end = Date.now() + {}; const watch = new MutationObserver(look); \
             watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }}); \
             const timer = setInterval(look, 200); look() }})",
            PATIENCE.as_millis() / 2
        );
        let found = self.value(&promise).await;
        if found != true {
            let text = self.value("document.body.innerText").await;
            panic!("never true: {expression}\n{}", text.as_str().unwrap_or_default());
        }
    }

    /// Opens an address of the page anew.
    pub(crate) async fn open(&self, url: &str) {
        // The same document would only move within itself.
        self.tell("Page.navigate", json!({ "url": "about:blank" })).await;
        self.tell("Page.navigate", json!({ "url": url })).await;
        self.until("document.readyState === 'complete' && document.querySelector('main h1')").await;
    }

    /// Clicks into the middle of the first element that `selector` finds.
    pub(crate) async fn click(&self, selector: &str) {
        let selector = json!(selector);
        self.until(&format!("document.querySelector({selector})")).await;
        let place = self
            .value(&format!(
                "(() => {{ const element = document.querySelector({selector}); \
                 element.scrollIntoView({{ block: 'center' }}); \
                 const box = element.getClientRects()[0]; \
                 return [box.x + box.width / 2, box.y + box.height / 2] }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.tell("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses and releases a key, as `Tab` or `Enter`.
    pub(crate) async fn press(&self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.tell("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types into what has the focus.
    pub(crate) async fn write(&self, text: &str) {
        self.tell("Input.insertText", json!({ "text": text })).await;
    }

    /// The size of the window, and whether the system is dark.
    pub(crate) async fn look_like(&self, width: u32, height: u32, dark: bool) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tell("Emulation.setEmulatedMedia", media).await;
    }

    /// A picture of the whole page.
    pub(crate) async fn picture(&self, file: &Path) {
        let how = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.tell("Page.captureScreenshot", how).await;
        let data = answer["data"].as_str().unwrap();
        let data = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::write(file, data).unwrap();
    }

    /// Errors and warnings of scripts, of what could not be loaded, of the Content-Security-Policy; forgotten by
    /// asking.
    pub(crate) fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap())
    }
}

fn launch(profile: &Path) -> Child {
    for program in PROGRAMS {
        // The browser reads from descriptor 3 and writes to 4; the shell puts the pipes there.
        let mut command = Command::new("sh");
        command
            .args(["-c", "command -v \"$0\" >/dev/null && exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage"])
            // As root it does not start with one, as in many containers; it loads this page only.
            .arg("--no-sandbox")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(profile.with_extension("log")).unwrap())
            .kill_on_drop(true);
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        if found {
            return command.spawn().unwrap();
        }
    }
    panic!(
        "no Chromium: `deploy/local/system-packages.sh tests` installs it, `make test` calls that"
    );
}

/// Gives answers to those who wait, and keeps complaints.
async fn listen(stdout: ChildStdout, waiting: Waiting, complaints: Arc<Mutex<Vec<String>>>) {
    let mut stdout = BufReader::new(stdout);
    let mut message = Vec::new();
    while stdout.read_until(0, &mut message).await.is_ok_and(|read| read > 0) {
        message.pop();
        let said: Value = serde_json::from_slice(&message).unwrap();
        message.clear();
        if let Some(id) = said["id"].as_u64() {
            if let Some(done) = waiting.lock().unwrap().remove(&id) {
                let _ = done.send(said);
            }
            continue;
        }
        let complaint = match said["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => ["error", "warning", "assert"]
                .contains(&said["params"]["type"].as_str().unwrap_or_default()),
            "Log.entryAdded" => {
                let level = said["params"]["entry"]["level"].as_str().unwrap_or_default();
                ["error", "warning"].contains(&level)
            }
            _ => false,
        };
        if complaint {
            complaints.lock().unwrap().push(said["params"].to_string());
        }
    }
    // Whoever still waits hears that there is nobody to answer.
    waiting.lock().unwrap().clear();
}
