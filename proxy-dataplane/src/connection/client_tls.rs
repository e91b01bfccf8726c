//! What a PROXY header says of the client's TLS (`PP2_TYPE_SSL`): of TLS that ends here, and of TLS that has ended on a hop before.
//!
//! Of which certificate was shown to the client, and how that was signed, nothing is said: it is the proxy's own business.

use proxy_core::Stream;
use proxy_core::header::Ssl;
use proxy_tls::{Identity, TlsStream, openssl_cipher_name};

use super::announce::LONGEST_NAME;
use super::origin::Origin;

/// The client speaks TLS; it gave a certificate on this connection, and in this session (PROXY protocol, section 2.2.6).
const SSL: u8 = 0x01;
const CERT_CONN: u8 = 0x02;
const CERT_SESS: u8 = 0x04;

/// `verify` of a client that gave no certificate: anything but zero, which says that one was found good.
const NONE_GIVEN: u32 = 1;

/// The longest text that is kept of what a hop tells, in bytes.
const LONGEST_TOLD: usize = 512;

impl Origin {
    /// The client's TLS ends here: what is said of it is what was agreed upon, in place of what a hop before may have told.
    pub(super) fn ends_tls<S: Stream>(&mut self, client: &TlsStream<S>) {
        let agreed = client.agreed();
        // No session is resumed where clients show who they are: a certificate is that of this connection.
        let given = client.peer_certificates().is_some_and(|given| !given.is_empty());
        let identity = client.peer_identity();
        let name = identity.as_ref().and_then(Identity::common_name);
        self.tlvs.ssl = Some(Box::new(Ssl {
            client: if given { SSL | CERT_CONN | CERT_SESS } else { SSL },
            verify: if given { 0 } else { NONE_GIVEN },
            version: Some(agreed.version.into()),
            cn: name.filter(|name| name.len() <= LONGEST_NAME).map(Into::into),
            cipher: Some(openssl_cipher_name(agreed.cipher).into()),
            ..Ssl::default()
        }));
        self.tlvs.alpn = agreed.alpn;
    }

    /// What a hop before has told of the client's TLS that ended there, for an operator: version, cipher suite, and whose certificate
    /// it gave. None where it told of none.
    pub(super) fn tls_in_words(&self) -> Option<Box<str>> {
        let ssl = self.tlvs.ssl.as_deref().filter(|ssl| ssl.client & SSL != 0)?;
        let text = |bytes: &Vec<u8>| {
            let text = String::from_utf8_lossy(bytes);
            text.chars()
                .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
                .collect()
        };
        let mut parts: Vec<String> = [&ssl.version, &ssl.cipher].into_iter().flatten().map(text).collect();
        let name = ssl.cn.as_ref().map(text);
        let given = ssl.client & (CERT_CONN | CERT_SESS) != 0;
        parts.push(match (given, ssl.verify) {
            (false, _) => "no certificate".to_owned(),
            (true, 0) => {
                format!("certificate of {}", name.as_deref().unwrap_or("a client without a common name"))
            }
            (true, error) => format!("a certificate that was not verified ({error})"),
        });
        let mut words = parts.join(", ");
        words.truncate(words.floor_char_boundary(LONGEST_TOLD));
        Some(words.into())
    }
}
