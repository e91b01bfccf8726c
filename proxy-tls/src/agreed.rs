//! What a handshake has agreed upon, by the names that the field has for it.

use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion};

/// What a handshake has agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The version: `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite, by its name in the registry of IANA, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The group of the key exchange, such as `x25519` or `X25519MLKEM768`; None where TLS 1.2 resumed a session, which exchanges no keys.
    pub group: Option<&'static str>,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// The application protocol (ALPN), if any was.
    pub alpn: Option<Vec<u8>>,
}

impl Agreed {
    pub(crate) fn of(common: &CommonState) -> Self {
        let resumed = common.handshake_kind() == Some(HandshakeKind::Resumed);
        let group = common.negotiated_key_exchange_group().map(|group| group_name(group.name()));
        Self {
            version: common.protocol_version().map_or("", version),
            cipher: common.negotiated_cipher_suite().map_or("", |suite| cipher_name(suite.suite())),
            group,
            resumed,
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
        }
    }
}

/// The name that OpenSSL has for a cipher suite, by that of the registry: the two differ for TLS 1.2.
#[must_use]
pub fn openssl_cipher_name(registered: &str) -> &str {
    match registered {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => "ECDHE-RSA-CHACHA20-POLY1305",
        other => other,
    }
}

fn version(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::TLSv1_3 { "TLSv1.3" } else { "TLSv1.2" }
}

/// The registry's name: the library has others for the suites of TLS 1.3.
pub(crate) fn cipher_name(suite: CipherSuite) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others have the registry's names")]
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// The registry's name.
fn group_name(group: NamedGroup) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library speaks no others")]
    match group {
        NamedGroup::X25519 => "x25519",
        other => other.as_str().unwrap_or("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_and_groups_have_the_names_of_the_registry() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| cipher_name(suite.suite())).collect();
        assert!(suites.iter().all(|name| name.starts_with("TLS_")), "{suites:?}");
        let older = suites.iter().filter(|name| name.contains("_WITH_"));
        assert!(older.map(|name| openssl_cipher_name(name)).all(|name| name.starts_with("ECDHE-")));
        assert_eq!(openssl_cipher_name("TLS_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
        let groups: Vec<_> = provider.kx_groups.iter().map(|group| group_name(group.name())).collect();
        assert!(groups.contains(&"x25519") && groups.contains(&"X25519MLKEM768"), "{groups:?}");
        assert!(!groups.contains(&"unknown"), "{groups:?}");
    }
}
