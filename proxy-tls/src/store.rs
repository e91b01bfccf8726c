//! The certificates that handshakes take at the moment, which may be replaced while they do.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::Certificates;

/// The certificates of a server, replaced as a whole: a handshake that has begun goes on with those of before, and one that begins gets
/// the new ones. No configuration has to be made anew for it.
#[derive(Default)]
pub struct CertificateStore {
    current: ArcSwap<Certificates>,
    /// None where all certificates that are to be are there.
    awaited: ArcSwapOption<Box<Awaited>>,
}

/// What is done about the certificate of a name that is asked for and has none: in words, and perhaps begun by asking. None where
/// nothing is. It may be called by any worker, for whatever clients ask, and must not block.
pub type Awaited = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateStore").field("current", &*self.current.load()).finish_non_exhaustive()
    }
}

impl CertificateStore {
    /// With these to begin with.
    #[must_use]
    pub fn new(certificates: Certificates) -> Self {
        Self { current: ArcSwap::from_pointee(certificates), awaited: ArcSwapOption::empty() }
    }

    /// Those that the next handshake gets.
    #[must_use]
    pub fn current(&self) -> Arc<Certificates> {
        self.current.load_full()
    }

    /// From now on these.
    pub fn replace(&self, certificates: Certificates) {
        self.current.store(Arc::new(certificates));
    }

    /// Has `awaited` told of names that are asked for and have no certificate, and asked what is done about them.
    pub fn await_by(&self, awaited: Box<Awaited>) {
        self.awaited.store(Some(Arc::new(awaited)));
    }

    /// What is done about the certificate of this name, which has none.
    #[must_use]
    pub fn awaited(&self, name: &str) -> Option<String> {
        self.awaited.load().as_ref().and_then(|awaited| awaited(name))
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let current = self.current.load();
        let name = name.as_deref();
        // Also where the default one serves meanwhile.
        if let Some(awaited) = &*self.awaited.load()
            && let Some(missing) = name.filter(|name| !current.has(name))
        {
            drop(awaited(missing));
        }
        current.find(name, hello.signature_schemes()).cloned()
    }
}
