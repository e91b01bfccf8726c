//! Whether the inner hop gets the PROXY header that it wants, from somebody whom it believes, with all that it can use.

use super::super::AcceptProxy;
use super::super::finding::Finding;
use super::Pair;
use super::link::Link;
use proxy_dataplane::settings::Greeting;
use proxy_dataplane::settings::{HeaderContent, HeaderField, NextHop, SendProxy, UnknownClient};

/// Whether connections get past the header at all.
pub(super) fn compare(pair: &mut Pair<'_, '_>, link: &Link<'_>) -> bool {
    match (link.sends(), link.greeting()) {
        (true, Some(Greeting::Plain)) if link.listener.accept_proxy == AcceptProxy::Off => {
            taken_for_data(pair, link);
            false
        }
        (true, Some(Greeting::Plain | Greeting::Refused)) => {
            unbelieved(pair, link);
            false
        }
        (false, Some(Greeting::Refused)) => {
            unbelieved(pair, link);
            demanded(pair, link);
            false
        }
        (false, Some(Greeting::Header)) => {
            demanded(pair, link);
            false
        }
        (false, _) => true,
        (true, Some(Greeting::Header | Greeting::Either) | None) => {
            content(pair, link);
            true
        }
    }
}

fn taken_for_data(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let at = &link.listener.label;
    if !pair.says("taken for data", at) {
        return;
    }
    let (outer, network) = (pair.outer.name(), link.network(pair.outer.name()));
    let title = format!("{at} takes no PROXY header, and route \"{}\" of {outer} sends one", link.route.name);
    pair.of_inner.push(
        Finding::new(pair.inner.listener(link.listener).span(), title)
            .label("the backend would get the header as if a client had sent it")
            .help(format!(
                "write accept_proxy = {{ required = [{network}] }} in a [[listeners]] of port {}, or leave `send_proxy` out of \
                 the route",
                link.listener.port
            )),
    );
}

fn unbelieved(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let at = &link.listener.label;
    let Some((key, _)) = link.listener.accept_proxy.believed().filter(|_| pair.says("unbelieved", at)) else {
        return;
    };
    let (outer, network) = (pair.outer.name(), link.network(pair.outer.name()));
    let title = format!("{at} does not trust {outer}, whose route \"{}\" leads here", link.route.name);
    let label = if link.listener.accept_proxy.believed().is_some_and(|(key, _)| key == "required") {
        "all of its connections are refused"
    } else {
        "a header that comes from there ends the connection"
    };
    let networks = pair.inner.listener(link.listener).key("accept_proxy").key(key);
    let help = format!("add {network} to `{key}`");
    pair.of_inner.push(Finding::new(networks.span(), title).label(label).help(help));
}

fn demanded(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    if !pair.says("demanded", &*link.route.name) {
        return;
    }
    let place = pair.outer.target(link);
    let (at, inner) = (&link.listener.label, pair.inner.name());
    let title =
        format!("route \"{}\" sends no PROXY header, and {at} of {inner} demands one", link.route.name);
    pair.of_outer.push(
        Finding::new(place.span(), title)
            .label("each connection is ended there")
            .help("write send_proxy = \"v2\" and next_hop = \"smartproxy\" in the route"),
    );
}

/// What the header holds that arrives.
fn content(pair: &mut Pair<'_, '_>, link: &Link<'_>) {
    let name = &link.route.name;
    if !pair.says("content", &**name) {
        return;
    }
    let (route, inner) = (pair.outer.route(link.index), pair.inner.name());
    let sent = route.key("send_proxy").span();
    match link.route.send_proxy {
        SendProxy::Off => {}
        SendProxy::V1 { unknown_client } => {
            let title =
                format!("route \"{name}\" sends a PROXY header of version 1 to another SmartProxy, {inner}");
            let label = if unknown_client == UnknownClient::Unknown {
                "it has no room for ids: a connection is another one there"
            } else {
                "it has no room for ids, and calls an unknown client by this proxy's address"
            };
            let help = "write send_proxy = \"v2\" and next_hop = \"smartproxy\"";
            pair.of_outer.push(Finding::new(sent, title).label(label).help(help).advice_only());
        }
        SendProxy::V2(content) => {
            if content.next_hop != NextHop::Smartproxy {
                let title = format!(
                    "route \"{name}\" writes its PROXY header for anybody, and {inner} is another SmartProxy"
                );
                let label =
                    "names, protocols and older ids are left out of it, and who is unknown is not told";
                let help = "write next_hop = \"smartproxy\" in the route";
                pair.of_outer.push(Finding::new(sent.clone(), title).label(label).help(help).advice_only());
            }
            if !content.fields.has(HeaderField::UniqueId) {
                let title = format!("route \"{name}\" tells {inner} no ids");
                let help = "add \"unique_id\" to `fields`, or leave `fields` out";
                let span = route.key("proxy_v2").key("fields").span();
                pair.of_outer.push(
                    Finding::new(span, title)
                        .label("a connection is another one there")
                        .help(help)
                        .advice_only(),
                );
            }
            too_long(pair, link, &content);
        }
    }
}

/// A header that the inner hop ends the connection for.
fn too_long(pair: &mut Pair<'_, '_>, link: &Link<'_>, content: &HeaderContent) {
    let longest = content.longest_in_a_chain(pair.outer.config.settings.max_header);
    let most = pair.inner.config.settings.max_header;
    if longest <= most || !pair.says("too long", pair.inner.name()) {
        return;
    }
    let title = format!(
        "{} takes PROXY headers of {most} bytes, and those of route \"{}\" of {} may have {longest}",
        pair.inner.name(),
        link.route.name,
        pair.outer.name()
    );
    let span = pair.inner.root().key("proxy_protocol").key("max_header").span();
    let help = format!("raise it, or write proxy_v2 = {{ max_header = \"{most}B\" }} in the route");
    pair.of_inner.push(Finding::new(span, title).label("a longer one ends the connection").help(help));
}
