//! A headless Chromium with one page, over its protocol for developer tools: JSON through two pipes, a NUL after each message.
//!
//! What it is not: a general client. It asks one thing at a time, and keeps the events that come meanwhile.

use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use chain_harness::{PATIENCE, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Its names in Debian, elsewhere, and as Google builds it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// No extras, and no traffic but to this machine.
const FLAGS: [&str; 13] = [
    "--headless=new",
    // Tests run as root in many a container, where the sandbox refuses to; what is shown is our own page.
    "--no-sandbox",
    "--disable-gpu",
    // Containers have 64 MiB in /dev/shm.
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
];

/// More than ever come between two questions.
const EVENTS: usize = 4096;

/// How often a condition is looked at: each look is a question.
const LOOK: Duration = Duration::from_millis(30);

/// The browser, with one page. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: mpsc::Receiver<Value>,
    reader: Option<JoinHandle<()>>,
    asked: u64,
    session: Option<String>,
    /// What it has told so far, unasked.
    pub(crate) events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it with an empty page. None, and a word to whoever runs the test, where there is no Chromium.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = NAMES.into_iter().find_map(program) else {
            println!("skipped: no Chromium is installed (Debian: apt-get install chromium)");
            return None;
        };
        let profile = tempfile::tempdir().expect("there is room for a profile");
        let mut child = Command::new("sh")
            // It takes commands from descriptor 3, and answers on 4.
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let commands = child.stdin.take().expect("it is piped");
        let (reader, messages) = read(child.stdout.take().expect("it is piped"));
        let reader = Some(reader);
        let events = Vec::new();
        let mut browser =
            Self { child, commands, messages, reader, asked: 0, session: None, events, _profile: profile };
        browser.attach().await;
        Some(browser)
    }

    async fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach).await;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
    }

    /// Asks, and gives the answer.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).expect("the browser runs");
        loop {
            let message = within(PATIENCE, self.messages.recv()).await.expect("the browser runs");
            if message["id"] != self.asked {
                self.events.push(message);
                continue;
            }
            assert!(message["error"].is_null(), "{method}: {}", message["error"]);
            return message["result"].clone();
        }
    }

    /// What `expression` (JavaScript) comes to in the page.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until `expression` holds in the page.
    pub(crate) async fn until(&mut self, expression: &str) {
        let looks = PATIENCE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            if self.eval(&format!("Boolean({expression})")).await == true {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("it does not come to this: {expression}\n{}", self.eval("document.body.innerText").await);
    }

    /// Opens `url`, and waits until it is loaded.
    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until(&format!("location.href === {} && document.readyState === 'complete'", json!(url))).await;
    }

    /// Gives the page a screen that is `width` wide, in the scheme `light` or `dark`.
    pub(crate) async fn screen(&mut self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", scheme).await;
    }

    /// Types a text into what has the focus.
    pub(crate) async fn types(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Points at the middle of the first element that `selector` finds, once it lies still and uncovered, and clicks. What has
    /// moved away by the time the click comes is clicked again where it is then.
    pub(crate) async fn click(&mut self, selector: &str) {
        let find = format!(
            "(async () => {{ const selector = {}; const it = document.querySelector(selector); if (!it) return null; \
             const frame = () => new Promise(requestAnimationFrame); \
             it.scrollIntoView({{ block: 'center', behavior: 'instant' }}); const was = it.getBoundingClientRect(); \
             await frame(); await frame(); const at = it.getBoundingClientRect(); \
             const [x, y] = [at.x + at.width / 2, at.y + at.height / 2]; \
             if (was.x !== at.x || was.y !== at.y || !it.contains(document.elementFromPoint(x, y))) return null; \
             globalThis.clicked = false; \
             const look = (click) => {{ globalThis.clicked = click.target.closest(selector) !== null; }}; \
             document.addEventListener('click', look, {{ once: true, capture: true }}); \
             return [x, y]; }})()",
            json!(selector)
        );
        let looks = PATIENCE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            let at = self.eval(&find).await;
            if !at.is_null() {
                for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
                    let button = if kind == "mouseMoved" { "none" } else { "left" };
                    let params =
                        json!({ "type": kind, "x": at[0], "y": at[1], "button": button, "clickCount": 1 });
                    self.call("Input.dispatchMouseEvent", params).await;
                }
                if self.eval("clicked").await == true {
                    return;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("{selector} cannot be clicked\n{}", self.eval("document.body.innerText").await);
    }

    /// Presses and releases a key: `Tab`, `Enter` or `Escape`.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            "Escape" => (27, None),
            _ => panic!("which key is {key}?"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = text.filter(|_| kind == "keyDown");
            let mut params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let Some(text) = text {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Errors and warnings that it has told so far: of scripts, of its policy, of the network.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let complaint = |event: &Value| {
            let params = &event["params"];
            let level = params["entry"]["level"].as_str().or_else(|| params["type"].as_str());
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" | "Log.entryAdded"
                    if matches!(level, Some("error" | "warning")) =>
                {
                    Some(params.to_string())
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// Where its requests went so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only for a browser that has gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.messages.close();
        // Its helpers end with it, and with them the pipe.
        drop(self.reader.take().map(JoinHandle::join));
    }
}

/// Where `name` is, if it is installed.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// What the browser says, message by message, on a thread: pipes of children do not go through the test's runtime.
fn read(output: ChildStdout) -> (JoinHandle<()>, mpsc::Receiver<Value>) {
    let (told, messages) = mpsc::channel(EVENTS);
    let reader = std::thread::spawn(move || {
        for message in BufReader::new(output).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
            if told.blocking_send(message).is_err() {
                return;
            }
        }
    });
    (reader, messages)
}
