//! The PROXY header that a route's backends are sent: what is in it, and how long it may be.

use proxy_dataplane::settings::{
    Fields, HeaderContent, HeaderField, Known, ListenerConfig, NextHop, RouteConfig, SendProxy, UniqueId,
    UnknownClient,
};
use proxy_route::{Matched, PortRange, RouteTable};
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::{Document, Place};
use super::file::{ConfigFile, RouteFile};
use super::finding::Finding;
use super::route;
use super::written::LONGEST_HEADER;
use proxy_values::Size;

/// The PROXY header that a backend gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SendProxyFile {
    /// None.
    #[default]
    Off,
    /// Version 1, one line of text: addresses only.
    V1,
    /// Version 2, binary: addresses and what `proxy_v2` adds.
    V2,
}

/// How a client is told of in a PROXY header of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxyV1File {
    /// What is said of a client whose address no hop before knew: `"own_address"`, the address that the proxy itself
    /// connects from, as its own connection would be told of (HAProxy's checks do so), or `"unknown"`, the line
    /// `PROXY UNKNOWN`, which not every receiver takes. Default `"own_address"`; `"unknown"` where `next_hop` is
    /// `"smartproxy"`.
    pub(super) unknown_client: Option<UnknownClient>,
}

/// What a PROXY header of version 2 has beside the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxyV2File {
    /// What is told, where it is known: `"unique_id"`, the connection's id; `"authority"`, the name that the client asks
    /// for; `"alpn"`, the protocol that was agreed upon with it where its TLS ends here, else the one that it prefers;
    /// `"ssl"`, the client's TLS that ends here or has ended on the hop before: version, cipher suite, and the common
    /// name in a certificate that it gave. Default `["unique_id"]`; all where `next_hop` is `"smartproxy"`.
    pub(super) fields: Option<Vec<HeaderField>>,
    /// Which id the field `unique_id` holds: `"trail"`, the ids on the hops before and the one here, joined by `/`, of
    /// which the oldest give way where all do not fit; `"received"`, the id that came, untouched, and the one here where
    /// none came; `"own"`, the one here alone. Default `"trail"`.
    pub(super) unique_id: Option<UniqueId>,
    /// The longest header that is sent, from 59B to 65551B: addresses and checksum always fit. What would go beyond it is
    /// left out, told of in the log once and counted, in this order: fields passed on, `ssl`, `alpn`, the older ids,
    /// `authority`, `unique_id`. Default 107B, which every receiver takes; 4KiB where `next_hop` is `"smartproxy"`.
    pub(super) max_header: Option<HeaderSize>,
    /// Whether it has a CRC-32C checksum of itself. Default false.
    pub(super) crc32c: bool,
    /// Whether fields of a received header that the proxy does not know go on to the backend. Default false.
    pub(super) pass_unknown_tlvs: bool,
}

/// The longest header that has neither fields nor a checksum is 52 bytes (two IPv6 addresses), and the checksum 7.
const SHORTEST_MOST: usize = 52 + 7;

/// How long a header that is sent may be.
type HeaderSize = Size<SHORTEST_MOST, LONGEST_HEADER>;

fn content_of(file: &ProxyV2File, next_hop: NextHop) -> HeaderContent {
    let (fields, max_header) = match next_hop {
        NextHop::Other => (Fields::of(&[HeaderField::UniqueId]), HeaderContent::EVERYBODYS),
        NextHop::Smartproxy => (Fields::ALL, HeaderContent::SMARTPROXYS),
    };
    HeaderContent {
        fields: file.fields.as_deref().map_or(fields, Fields::of),
        unique_id: file.unique_id.unwrap_or_default(),
        max_header: file.max_header.map_or(max_header, Size::bytes),
        crc32c: file.crc32c,
        pass_unknown_tlvs: file.pass_unknown_tlvs,
        next_hop,
    }
}

/// What a route's part of the file comes to.
pub(super) fn resolved(file: &RouteFile) -> SendProxy {
    if file.hop.is_some() {
        let content = file.proxy_v2.clone().unwrap_or_default();
        return SendProxy::V2(content_of(&content, file.next_hop.unwrap_or(NextHop::Smartproxy)));
    }
    match file.send_proxy {
        SendProxyFile::Off => SendProxy::Off,
        SendProxyFile::V1 => {
            let default = match file.next_hop.unwrap_or_default() {
                NextHop::Other => UnknownClient::OwnAddress,
                NextHop::Smartproxy => UnknownClient::Unknown,
            };
            let wanted = file.proxy_v1.and_then(|v1| v1.unknown_client);
            SendProxy::V1 { unknown_client: wanted.unwrap_or(default) }
        }
        SendProxyFile::V2 => {
            let content = file.proxy_v2.clone().unwrap_or_default();
            SendProxy::V2(content_of(&content, file.next_hop.unwrap_or_default()))
        }
    }
}

/// What is wrong with a route's part of it.
pub(super) fn check(file: &RouteFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let sent = place.key("send_proxy");
    // A wrong `send_proxy` has been cut out: nobody knows what it was to be. A hop gets a header of version 2 in any case.
    let lost = file.hop.is_some() || (place.is_wounded() && !sent.exists());
    let mut useless = |key: &'static str, needs: &str, why: &str| {
        let finding = Finding::new(place.key(key).span(), format!("`{key}` needs `send_proxy = {needs}`"));
        findings.push(if sent.exists() {
            finding.label("this has no effect").beside(sent.span(), why)
        } else {
            finding.label("this has no effect: without `send_proxy`, no header is sent")
        });
    };
    if file.proxy_v2.is_some() && file.send_proxy != SendProxyFile::V2 && !lost {
        useless("proxy_v2", "\"v2\"", "no header of version 2 is sent");
    }
    if file.proxy_v1.is_some() && (file.hop.is_some() || (file.send_proxy != SendProxyFile::V1 && !lost)) {
        useless("proxy_v1", "\"v1\"", "no header of version 1 is sent");
    }
    if file.next_hop.is_some() && file.send_proxy == SendProxyFile::Off && !lost {
        useless("next_hop", "\"v2\"` or `\"v1\"", "no header is sent");
    }
    let no_id = |fields: &Vec<HeaderField>| !fields.contains(&HeaderField::UniqueId);
    if let Some(v2) = &file.proxy_v2
        && v2.unique_id.is_some()
        && v2.fields.as_ref().is_some_and(no_id)
    {
        let place = place.key("proxy_v2");
        findings.push(
            Finding::new(place.key("unique_id").span(), "`unique_id` needs the field `unique_id`")
                .label("this has no effect")
                .beside(place.key("fields").span(), "no id is sent"),
        );
    }
}

/// A warning for each route whose header may have to do without something.
pub(super) fn warnings(
    routes: &RouteTable<RouteConfig>,
    listeners: &[ListenerConfig],
    file: &ConfigFile,
    document: &Document<'_>,
) -> Vec<Finding> {
    let believing = listeners.iter().filter(|at| at.believes_headers());
    let believing = Ports(believing.map(|at| at.port).collect());
    let reading = listeners.iter().map(|at| at.port).filter(|port| routes.needs_hello(*port));
    let reading = Ports(reading.collect());
    let finding = |route: Matched<'_, RouteConfig>| {
        let SendProxy::V2(content) = route.payload.send_proxy else { return None };
        let ports = &route.spec.matches.ports;
        let known = Known {
            hello: reading.any_in(ports),
            header: believing.any_in(ports).then(|| file.proxy_protocol.max_header.bytes()),
        };
        let longest = content.longest(known);
        let place = route::place(document, route.index);
        (longest > content.max_header).then(|| over(longest, &content, route.name(), &place))
    };
    let enabled = routes.routes().filter(|route| route.spec.enabled);
    enabled.filter_map(finding).collect()
}

/// Some ports, in ascending order.
struct Ports(Vec<u16>);

impl Ports {
    fn any_in(&self, ranges: &[PortRange]) -> bool {
        ranges.iter().any(|range| {
            let first = self.0.partition_point(|port| *port < range.first());
            self.0.get(first).is_some_and(|port| *port <= range.last())
        })
    }
}

fn over(longest: usize, content: &HeaderContent, route: &str, place: &Place<'_, '_>) -> Finding {
    let v2 = place.key("proxy_v2");
    let span = if v2.key("max_header").exists() { v2.key("max_header").span() } else { v2.span() };
    let title = format!("the PROXY header of route \"{route}\" may have no room for all that it is to hold");
    Finding::new(span, title)
        .label(format!("it may come to {longest} bytes, and max_header is {}B", content.max_header))
        .help(
            "what does not fit is left out and counted, in this order: fields passed on, `alpn`, older ids, `authority`, \
             `unique_id`; raise `max_header` as far as the receiver takes it (docs/receivers.md), or send less",
        )
}
