//! One HTTP connection to a proxy, driven by whoever waits for something on it.

use std::pin::pin;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use proxy_core::dial::{AllOpen, reach};
use proxy_core::io::Io;
use proxy_core::resolve::ResolverOptions;
use proxy_core::{Bound, Resolver, Socket, TcpDialer};
use tokio::runtime::Handle;

use super::ClientError;
use crate::place::Place;

/// A connection. Dropped, it closes in an orderly way: a client that has its answer resets nobody.
pub(super) struct Link {
    /// None once it has ended: what was received may still be waiting to be read.
    driver: Option<http1::Connection<TokioIo<Io<Socket>>, Full<Bytes>>>,
}

impl Link {
    /// Connects to the API at `place`. Cancel-safe.
    pub(super) async fn open(
        place: &Place,
        within: Bound,
    ) -> Result<(SendRequest<Full<Bytes>>, Self), ClientError> {
        let resolver = Resolver::system(Handle::current(), 1, ResolverOptions::default());
        let dialled = reach(&TcpDialer::default(), &resolver, &[place.target()], &AllOpen, within)
            .await
            .map_err(|error| ClientError::unreachable(place, error))?;
        let (sender, driver) = http1::handshake(TokioIo::new(Io::orderly(dialled.stream)))
            .await
            .map_err(|error| ClientError::Broken { place: place.clone(), why: error.to_string() })?;
        Ok((sender, Self { driver: Some(driver) }))
    }

    /// Does `work`, driving the connection meanwhile. Cancel-safe if the work is.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                done = &mut work => return done,
                // However it ended, whoever works on it is told.
                _ = driver => {}
            }
        }
        self.driver = None;
        work.await
    }
}
