//! What is wrong is a strip, and what is looked at is narrowed by it: findings, groups, a search, an end for all that match; and the
//! view of the chain.

use chain_harness::{Backend, PATIENCE, Processes, Smartproxy, within};
use serde_json::json;

use crate::browser::Browser;
use crate::{ADMIN, LISTED, chain, established, press_until};

/// Shows what the proxy said last, with these findings.
fn planted(findings: &str) -> String {
    format!(
        "(() => {{ dashboard.stream.onSample = () => {{}}; \
         dashboard.history.last = {{ ...dashboard.history.last, findings: {findings} }}; \
         dashboard.show(dashboard.history.last); }})()"
    )
}

const FAILING: &str = "[{ id: 'failing/route/outer', rule: 'failing', severity: 'critical', \
    subject: { kind: 'route', name: 'outer', of: null }, since: 1e9, since_s: 75, figures: {}, \
    sentence: 'all of its connections fail', shows: 'smartproxy routes outer', mends: 'smartproxy drain route outer' }]";

#[test]
fn a_finding_is_one_line_with_its_commands_and_narrows_what_is_below() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let backend = Backend::silent();
        let (_chain, url) = chain(&backend).await;
        browser.screen(1280, "light").await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.last").await;
        browser.until("document.getElementById('strip').classList.contains('calm')").await;
        let line = "document.getElementById('strip').getBoundingClientRect().height < 40";
        assert_eq!(browser.eval(line).await, true, "where nothing is wrong it takes one line");

        browser.eval(&planted(FAILING)).await;
        let said = browser.eval("document.getElementById('findings').innerText").await.to_string();
        for part in [
            "route outer: all of its connections fail",
            "1m 15s",
            "smartproxy routes outer",
            "smartproxy drain route outer",
        ] {
            assert!(said.contains(part), "{part} is not among: {said}");
        }
        assert_eq!(
            browser.eval("document.querySelector('#routes tbody tr').matches('.trouble')").await,
            true
        );
        browser.click("#findings .what").await;
        assert_eq!(browser.eval("dashboard.filter.values").await, json!({ "route": "outer" }));
        assert_eq!(browser.eval("document.getElementById('route').value").await, "outer");
        browser.until("document.getElementById('groups-note').textContent.startsWith('0 in 0')").await;

        browser.eval(&planted("[]")).await;
        browser.until("document.getElementById('strip').classList.contains('calm')").await;
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn the_charts_of_a_page_that_has_just_opened_are_full_of_what_the_proxy_remembers() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (chain, url) = chain(&backend).await;
        let (_client, _at_backend) = established(&chain, &mut arrivals).await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.columns.before.some((open) => open === 1)").await;
        let earlier = "dashboard.history.columns.at[0] < dashboard.history.last.at - 1";
        browser.until(earlier).await;
        browser.until("document.querySelector('#routes tbody tr td:nth-child(3)').textContent !== ''").await;
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn connections_are_grouped_searched_and_ended_together_after_their_number_was_said() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (chain, url) = chain(&backend).await;
        browser.screen(1280, "dark").await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.last").await;
        let (mut one, _one) = established(&chain, &mut arrivals).await;
        let (mut two, _two) = established(&chain, &mut arrivals).await;
        let (mut three, _three) = established(&chain, &mut arrivals).await;
        browser
            .until("document.querySelector('#groups tbody tr td:nth-child(3)')?.textContent === '3'")
            .await;
        let all = "document.getElementById('end-all').getAttribute('aria-disabled')";
        assert_eq!(browser.eval(all).await, "true", "nobody ends everything by one button");
        browser.click("#end-all").await;
        assert_eq!(browser.eval("document.getElementById('confirm-all').open").await, false);

        // By its address, which only one has.
        let address = one.local_addr().to_string();
        browser.eval("document.getElementById('search').focus()").await;
        browser.types(&address).await;
        browser.until(&format!("JSON.stringify({LISTED}) === {}", json!(json!([address]).to_string()))).await;
        press_until(&mut browser, "document.activeElement.id === 'end-all'").await;
        browser.press("Enter").await;
        browser.until("document.getElementById('confirm-all').open").await;
        assert_eq!(
            browser.eval("document.getElementById('confirm-all-count').textContent").await,
            "1 connection matches:"
        );
        assert_eq!(
            browser.eval("document.activeElement.id").await,
            "confirm-all-no",
            "Enter twice ends nothing"
        );
        press_until(&mut browser, "document.activeElement.id === 'confirm-all-yes'").await;
        browser.press("Enter").await;
        assert!(within(PATIENCE, one.read_to_end()).await.end.is_some(), "it is still open");
        browser.until("document.getElementById('said').textContent === '1 connection ended'").await;

        // A group, chosen, is listed; the others are not ended with it.
        browser.eval("dashboard.filter.replace({})").await;
        browser
            .until("document.querySelector('#groups tbody tr td:nth-child(3)')?.textContent === '2'")
            .await;
        browser.click("#groups tbody button").await;
        browser.until("document.querySelector('#chips button')?.textContent.startsWith('target ')").await;
        browser.click("#end-all").await;
        browser.until("document.getElementById('confirm-all').open").await;
        browser.click("#confirm-all-no").await;
        browser.until("!document.getElementById('confirm-all').open").await;
        browser.until("document.activeElement.id === 'end-all'").await;
        browser.press("Enter").await;
        browser.until("document.getElementById('confirm-all').open").await;
        browser.click("#confirm-all-yes").await;
        for client in [&mut two, &mut three] {
            assert!(within(PATIENCE, client.read_to_end()).await.end.is_some(), "it is still open");
        }
        browser.until("document.getElementById('said').textContent === '2 connections ended'").await;
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn hops_stand_side_by_side_with_what_lives_on_one_of_them_only() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let (backend, mut arrivals) = Backend::hands_over();
        let (outer, inner) =
            (format!("{ADMIN}admin.hops = [\"INNER_B\"]\n"), ADMIN.replace("outer", "inner"));
        let mut chain = Processes::with(&outer, &inner, backend.addr()).await;
        let (_client, _at_backend) = established(&chain, &mut arrivals).await;
        for (width, scheme) in [(320, "light"), (1280, "dark"), (2560, "light")] {
            browser.screen(width, scheme).await;
            browser.open(&format!("http://{}/", chain.outer.at(1))).await;
            browser.until("globalThis.dashboard?.history.last").await;
            browser.click("#show-chain").await;
            browser.until("document.querySelectorAll('#hops .hop').length === 2").await;
            browser.until("document.getElementById('chain-said').textContent.startsWith('1 connection on every hop, none')").await;
            let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.eval(overflow).await, 0, "{width}: it scrolls sideways");
        }
        chain.inner.process.kill().await;
        browser
            .until(
                "document.querySelector('#chain-wrong .bad')?.textContent.includes('does not answer, since')",
            )
            .await;
        browser.until("document.querySelectorAll('#hops .badge.bad').length === 1").await;
        browser.click("#show-hop").await;
        browser.until("!document.getElementById('hop-view').hidden && document.querySelector('#chart canvas').width > 300").await;
        let complaints = browser.complaints();
        assert_eq!(complaints, Vec::<String>::new());
    });
}
