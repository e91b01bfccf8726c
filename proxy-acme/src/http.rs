//! How an authority is asked: one request a connection, dialled through the caller's [`Dial`], all of it under one deadline.
//!
//! The client library has a transport of its own, which has neither a deadline nor this dialler; it takes this one instead.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use proxy_core::dial::{AllOpen, reach};
use proxy_core::io::Io;
use proxy_core::resolve::Resolver;
use proxy_core::{Bound, Dial, TargetAddr};
use proxy_tls::rustls::ClientConfig;
use proxy_tls::rustls::pki_types::ServerName;

/// How long one request may take, from the first look-up to the last byte: authorities answer within a second or two, and one that says
/// nothing would be waited for for ever.
const PATIENCE: Bound = Bound::secs(30);

/// The largest answer that is read: a chain has a few KiB, a directory one.
const LARGEST: usize = 1 << 20;

/// How the world is reached.
#[derive(Debug, Clone)]
pub struct Network<D> {
    /// What connects.
    pub dialer: D,
    /// What looks names up.
    pub resolver: Resolver,
}

/// The transport to one authority. Clones are the same.
#[derive(Debug)]
pub(crate) struct Transport<D>(Arc<Inner<D>>);

impl<D> Clone for Transport<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<D> {
    network: Network<D>,
    tls: Arc<ClientConfig>,
    /// Before then it wants no further request: what its last refusal said.
    not_before: Mutex<Option<SystemTime>>,
}

impl<D> Transport<D> {
    pub(crate) fn new(network: Network<D>, tls: Arc<ClientConfig>) -> Self {
        Self(Arc::new(Inner { network, tls, not_before: Mutex::default() }))
    }

    /// Before then it wants no further request, where it has said so with a refusal.
    pub(crate) fn not_before(&self) -> Option<SystemTime> {
        *self.0.not_before.lock()
    }
}

impl<D: Dial> HttpClient for Transport<D>
where
    D::Stream: Unpin,
{
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let asked = tokio::time::timeout(PATIENCE.get(), inner.ask(request));
            asked.await.unwrap_or_else(|_| Err(other(format!("no answer within {PATIENCE}"))))
        })
    }
}

/// An error with a text of ours.
fn other(text: impl Into<String>) -> Error {
    Error::Other(text.into().into())
}

impl<D: Dial> Inner<D>
where
    D::Stream: Unpin,
{
    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let uri = request.uri().clone();
        let (request, at) = (prepared(request).await?, target(&uri)?);
        let (target, name) = at;
        let dialled =
            reach(&self.network.dialer, &self.network.resolver, &[target], &AllOpen, PATIENCE).await;
        let stream = dialled.map_err(|error| other(error.to_string()))?.stream;
        let shaken = proxy_tls::connect(stream, Arc::clone(&self.tls), name).await;
        let stream = shaken.map_err(|failed| other(format!("TLS: {}", failed.error)))?;
        let io = TokioIo::new(Io::orderly(stream));
        let (mut sender, connection) = http1::handshake(io).await.map_err(|error| http(&error))?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(|error| http(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(Error::Other)?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let response = both(asking, connection).await?;
        self.heed(&response)?;
        Ok(Response::map(response, Full::new).into())
    }

    /// Notes how long it wants to be left alone, and refuses what is a refusal by something else than the authority: a proxy before it,
    /// whose page the library would take for a broken answer.
    fn heed(&self, response: &Response<Bytes>) -> Result<(), Error> {
        let status = response.status();
        let refused = status.is_client_error() || status.is_server_error();
        if !refused {
            return Ok(());
        }
        *self.not_before.lock() = response.headers().get(RETRY_AFTER).and_then(not_before);
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.contains("json")) {
            return Ok(());
        }
        Err(other(format!("it answered {status}, and no reason")))
    }
}

/// What comes of asking, over a connection that has to be driven meanwhile.
async fn both<T>(
    asking: impl Future<Output = Result<T, Error>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> Result<T, Error> {
    match select(pin!(asking), pin!(connection)).await {
        Either::Left((asked, _)) => asked,
        // It is over as soon as the last byte of the answer has come; how it ended matters only where that is not whole.
        Either::Right((ended, asking)) => {
            asking.await.map_err(|error| ended.err().map_or(error, |ended| http(&ended)))
        }
    }
}

/// The library's own words, with what is behind them: "connection error" alone says nothing.
fn http(error: &hyper::Error) -> Error {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    other(format!("HTTP: {error}{source}"))
}

/// The request as it goes over the wire.
async fn prepared(request: Request<BodyWrapper<Bytes>>) -> Result<Request<Full<Bytes>>, Error> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(host).map_err(|error| other(error.to_string()))?;
    parts.headers.insert(HOST, host);
    // A few requests an order, and orders are weeks apart.
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.uri = path.parse().map_err(|_| other("its URL has a path that cannot be asked for"))?;
    let body = body.collect().await.map_err(|never: Infallible| -> Error { match never {} })?;
    Ok(Request::from_parts(parts, Full::new(body.to_bytes())))
}

/// Where a URL leads, and which name a certificate there has to have.
fn target(uri: &Uri) -> Result<(TargetAddr, ServerName<'static>), Error> {
    // A directory may name any URL for what is asked for next.
    if uri.scheme_str() != Some("https") {
        return Err(other(format!("{uri} is not encrypted (https), and is not asked")));
    }
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(443);
    let name = ServerName::try_from(bare.to_owned());
    let name = name.map_err(|_| other(format!("\"{host}\" is no name of a host")))?;
    let target = match bare.parse::<IpAddr>() {
        Ok(ip) => TargetAddr::Ip((ip, port).into()),
        Err(_) => TargetAddr::Name(bare.into(), port),
    };
    Ok((target, name))
}

/// When a `Retry-After` says (RFC 9110, section 10.2.3): seconds from now, or a date.
fn not_before(value: &HeaderValue) -> Option<SystemTime> {
    let text = value.to_str().ok()?.trim();
    let seconds = text.parse::<u32>().ok();
    let from_now = seconds.map(|seconds| SystemTime::now() + Duration::from_secs(seconds.into()));
    from_now.or_else(|| httpdate::parse_http_date(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_a_host_and_a_port() {
        let lead = |url: &str| target(&url.parse().unwrap()).map(|(target, _)| target.to_string());
        assert_eq!(lead("https://ca.example/dir").unwrap(), "ca.example:443");
        assert_eq!(lead("https://[::1]:14000/dir").unwrap(), "[::1]:14000");
        assert_eq!(lead("https://127.0.0.1:14000/dir").unwrap(), "127.0.0.1:14000");
        assert!(lead("http://ca.example/dir").unwrap_err().to_string().contains("not encrypted"));
    }

    #[test]
    fn seconds_are_waited_for_and_what_cannot_be_read_is_not() {
        let wait = |text: &'static str| not_before(&HeaderValue::from_static(text));
        let then = wait(" 120 ").unwrap().duration_since(SystemTime::now()).unwrap();
        assert!((118..=120).contains(&then.as_secs()), "{then:?}");
        let date = wait("Thu, 01 Jan 1970 00:01:40 GMT");
        assert_eq!(date, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }
}
