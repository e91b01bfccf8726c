//! The dashboard as an operator uses it: a real chain of real processes, and a real browser. Where no Chromium is
//! installed these say so and pass.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says on stdout what it skips; indexing JSON does neither"
)]

mod browser;
mod looked_at;
mod words;

use browser::Browser;
use chain_harness::{Backend, PATIENCE, Processes, Smartproxy, Wire, within};
use serde_json::json;
use tokio::sync::mpsc;

/// The outer hop has a dashboard on its second port.
const ADMIN: &str = "admin.name = \"the outer hop\"\nadmin.listen = \"127.0.0.1:PORT_B\"\n";

/// Beyond this a page is said to jump ("needs improvement", in the terms of the Core Web Vitals).
const JUMPS: f64 = 0.1;

/// How often a key is pressed to get somewhere before it is clear that it does not lead there.
const PRESSES: usize = 40;

/// What the newest sample says, as the stacked chart draws it: the height of the whole stack, and that of relay.
const DRAWN: &str = "dashboard.charts.phases.plot.data.map((column) => column[column.length - 1])";

/// How many dots of the chart are of relay's colour: what is drawn in truth.
const INKED: &str = "(() => { const canvas = document.querySelector('#chart canvas'); \
    const hex = getComputedStyle(document.documentElement).getPropertyValue('--relay').trim(); \
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)); \
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true }); \
    copy.drawImage(canvas, 0, 0); \
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height); let n = 0; \
    for (let i = 0; i < data.length; i += 4) n += data[i] === r && data[i + 1] === g && data[i + 2] === b; return n; })()";

/// The living connections in the list, by whom they are from.
const LISTED: &str = "[...document.querySelectorAll('#oldest tbody tr:not(.ended):not(.none)')].map((row) => row.children[5].textContent)";

/// The connections that reached the backend. Whoever holds one decides when it ends: the browser may take its time.
type Arrivals = mpsc::Receiver<Wire>;

async fn chain(backend: &Backend) -> (Processes, String) {
    let chain = Processes::with(ADMIN, "", backend.addr()).await;
    let url = format!("http://{}/", chain.outer.at(1));
    (chain, url)
}

/// A connection through the chain, both ends of it.
async fn established(chain: &Processes, arrivals: &mut Arrivals) -> (Wire, Wire) {
    let client = chain.connect().await;
    (client, within(PATIENCE, arrivals.recv()).await.expect("it arrives"))
}

/// Waits until the list shows `clients` and no others, and the chart as many.
async fn shows(browser: &mut Browser, clients: &[&Wire]) {
    let mut from: Vec<_> = clients.iter().map(|client| client.local_addr().to_string()).collect();
    from.sort();
    browser.until(&format!("JSON.stringify({LISTED}.sort()) === {}", json!(json!(from).to_string()))).await;
    let n = clients.len();
    // Time, header (on top of all), peek, dial, drain, relay (at the bottom).
    browser.until(&format!("{DRAWN}[1] === {n} && {DRAWN}[5] === {n}")).await;
    browser.until(&format!("document.querySelector('#phases b').textContent === '{n}'")).await;
}

#[test]
fn shows_connections_as_they_come_and_kills_the_one_that_is_clicked() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (chain, url) = chain(&backend).await;
        browser.screen(1600, "light").await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.last").await;
        shows(&mut browser, &[]).await;
        browser.until("document.getElementById('name').textContent === 'the outer hop'").await;
        browser.until("document.getElementById('link').textContent === 'live'").await;
        assert_eq!(browser.eval(INKED).await, 0, "nothing is open");

        let (mut one, mut at_backend) = established(&chain, &mut arrivals).await;
        let (two, _two) = established(&chain, &mut arrivals).await;
        let (three, _three) = established(&chain, &mut arrivals).await;
        shows(&mut browser, &[&one, &two, &three]).await;
        browser.until("dashboard.history.columns.opens.some((n) => n > 0)").await;
        browser.until(&format!("{INKED} > 50")).await;

        let row = format!("{LISTED}.indexOf('{}') + 1", one.local_addr());
        let row = browser.eval(&row).await;
        browser.click(&format!("#oldest tbody tr:nth-child({row}) .end")).await;
        browser.until("document.getElementById('confirm').open").await;
        let asked = browser.eval("document.getElementById('confirm').innerText").await;
        assert!(asked.as_str().unwrap_or_default().contains(&one.local_addr().to_string()), "{asked}");
        browser.click("#confirm-no").await;
        browser.until("!document.getElementById('confirm').open").await;
        one.send("still here").await;
        at_backend.expect("still here").await;

        browser.click(&format!("#oldest tbody tr:nth-child({row}) .end")).await;
        browser.click("#confirm-yes").await;
        let ending = within(PATIENCE, one.read_to_end()).await;
        assert!(ending.end.is_some(), "it is still open");
        shows(&mut browser, &[&two, &three]).await;
        // The pointer is still in the list, so the row stays where it was, and says what became of it.
        browser
            .until(&format!("document.querySelector('#oldest tbody tr:nth-child({row})').matches('.ended')"))
            .await;
        browser.until("document.querySelector('#causes tbody').textContent.includes('killed')").await;
        let lived = chain.outer.causes();
        assert_eq!(lived, ["killed"], "the others go on");

        assert_eq!(browser.complaints(), Vec::<String>::new());
        let elsewhere: Vec<_> = browser
            .requests()
            .into_iter()
            .filter(|to| !to.starts_with(&url) && !to.starts_with("data:"))
            .collect();
        assert_eq!(elsewhere, Vec::<String>::new(), "it asks nobody else");
        complaints_are_heard(&mut browser).await;
    });
}

/// What is asserted above would hold of a browser that never complains, too.
async fn complaints_are_heard(browser: &mut Browser) {
    browser.eval("console.error('planted')").await;
    browser.eval("void document.body.setAttribute('style', 'color: red')").await;
    browser
        .eval(
            "void document.body.append(Object.assign(document.createElement('img'), { src: '/pixel.png' }))",
        )
        .await;
    browser.until("performance.now() > 0").await;
    let heard = browser.complaints().join("\n");
    for planted in ["planted", "style-src", "img-src"] {
        assert!(heard.contains(planted), "{planted} is not among: {heard}");
    }
}

#[test]
fn the_keyboard_alone_reaches_the_kill() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (chain, url) = chain(&backend).await;
        let (mut client, _at_backend) = established(&chain, &mut arrivals).await;
        browser.screen(1600, "dark").await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.last").await;
        shows(&mut browser, &[&client]).await;

        press_until(&mut browser, "document.activeElement.matches('#oldest .end')").await;
        let ring = "getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(browser.eval(ring).await, "solid", "it can be seen where the focus is");
        browser.press("Enter").await;
        browser.until("document.getElementById('confirm').open").await;
        assert_eq!(
            browser.eval("document.activeElement.id").await,
            "confirm-no",
            "Enter twice kills nothing"
        );
        browser.press("Escape").await;
        browser.until("!document.getElementById('confirm').open").await;
        browser.until("document.activeElement.matches('#oldest .end')").await;

        browser.press("Enter").await;
        browser.until("document.getElementById('confirm').open").await;
        press_until(&mut browser, "document.activeElement.id === 'confirm-yes'").await;
        browser.press("Enter").await;
        let ending = within(PATIENCE, client.read_to_end()).await;
        assert!(ending.end.is_some(), "it is still open");
        browser.until("document.getElementById('said').textContent.includes('is ended')").await;
        browser.until("dashboard.history.last.status.connections === 0").await;
        // The focus stays where it was, on a row that has ended, and there is nothing more to kill.
        browser.until("document.activeElement.matches('#oldest .ended .end[aria-disabled=true]')").await;
        browser.press("Enter").await;
        assert_eq!(browser.eval("document.getElementById('confirm').open").await, false);
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

/// Presses Tab until `expression` holds.
async fn press_until(browser: &mut Browser, expression: &str) {
    for _ in 0..PRESSES {
        if browser.eval(expression).await == true {
            return;
        }
        browser.press("Tab").await;
    }
    panic!("Tab does not lead to {expression}");
}

#[test]
fn it_fits_a_telephone_and_does_not_jump() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (chain, url) = chain(&backend).await;
        for (width, scheme) in [(320, "light"), (400, "dark"), (1600, "dark"), (2560, "light")] {
            browser.screen(width, scheme).await;
            let mut jumps = serde_json::Value::Null;
            // Where the machine is so busy that the page hears nothing for a while it says so, and that takes room.
            for _ in 0..TRIES {
                browser.open(&url).await;
                browser.until("globalThis.dashboard?.history.last").await;
                let (one, _one) = established(&chain, &mut arrivals).await;
                let (two, _two) = established(&chain, &mut arrivals).await;
                shows(&mut browser, &[&one, &two]).await;
                let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
                assert_eq!(browser.eval(overflow).await, 0, "{width} {scheme}: it scrolls sideways");
                assert_eq!(
                    browser.eval(REACHABLE).await,
                    true,
                    "{width} {scheme}: a kill button is out of sight"
                );
                jumps = browser.eval(JUMPED).await;
                assert_eq!(browser.complaints(), Vec::<String>::new());
                one.reset();
                two.reset();
                if jumped(&jumps) < JUMPS {
                    break;
                }
            }
            assert!(jumped(&jumps) < JUMPS, "{width} {scheme}: what was shown moved each time: {jumps}");
        }
    });
}

/// How often the page is opened until nothing on it moves.
const TRIES: usize = 3;

/// Whether every kill button can be reached.
const REACHABLE: &str = "[...document.querySelectorAll('#oldest .end')].every((it) => { \
    const at = it.getBoundingClientRect(); return at.width > 0 && at.left >= 0 && at.right <= innerWidth; })";

fn jumped(jumps: &serde_json::Value) -> f64 {
    jumps.get(0).and_then(serde_json::Value::as_f64).unwrap_or(f64::MAX)
}

/// How much of the page has moved how far since it was opened, as browsers measure it, and what did.
const JUMPED: &str = "new Promise((tell) => { let sum = 0; const what = []; \
    new PerformanceObserver((list) => { for (const shift of list.getEntries()) { \
        sum += shift.value; what.push(...shift.sources.map((it) => it.node?.id || it.node?.className || it.node?.nodeName)); } }) \
        .observe({ type: 'layout-shift', buffered: true }); \
    requestAnimationFrame(() => setTimeout(() => tell([sum, ...what]), 50)); })";

#[test]
fn a_proxy_that_is_killed_is_told_of_and_found_again() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (mut chain, url) = chain(&backend).await;
        browser.open(&url).await;
        browser.until("document.getElementById('link').textContent === 'live'").await;
        chain.outer.process.kill().await;
        browser.until("document.getElementById('link').textContent.startsWith('disconnected')").await;
        browser.until("document.getElementById('news').classList.contains('old')").await;
        let before = browser.eval("dashboard.history.last.status.pid").await;
        chain.outer.restart().await;
        browser.until(&format!("dashboard.history.last.status.pid !== {before}")).await;
        browser.until("document.getElementById('link').textContent === 'live'").await;
        browser.until("!document.getElementById('news').classList.contains('old')").await;
        // The figures of the process that is no more are not drawn as if they were of this one.
        let (client, _at_backend) = established(&chain, &mut arrivals).await;
        shows(&mut browser, &[&client]).await;
    });
}
