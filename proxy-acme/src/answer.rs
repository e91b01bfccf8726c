//! What answers a challenge: proof for an authority that a name is served here.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proxy_tls::rustls::pki_types::PrivateKeyDer;
use proxy_tls::{ChallengeCertificate, Challenges};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};

/// A kind of challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// A handshake on port 443 with a certificate made for it (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A request on port 80 (RFC 8555, section 8.3).
    #[serde(rename = "http-01")]
    Http01,
}

impl ChallengeKind {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 => "http-01",
        }
    }
}

/// For how long an answer stands in a shared folder, should the one who put it there never take it away.
const STANDS: Duration = Duration::from_secs(600);

/// The answer to one challenge, as proxies that share a folder tell each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name that is to be proved.
    pub name: Box<str>,
    /// How.
    pub kind: ChallengeKind,
    /// What a request asks for.
    pub token: Box<str>,
    /// What it is answered with.
    pub key_authorization: Box<str>,
    /// The SHA-256 of that, in base64: what a certificate answers with.
    digest: Box<str>,
    /// When it has had its time, in seconds since 1970.
    until: u64,
}

/// Why there is no certificate to answer with.
#[derive(Debug, thiserror::Error)]
#[error("no certificate could be made to answer a challenge with: {0}")]
pub struct AnswerError(String);

impl AnswerError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Answer {
    /// What proves `name`, from `now` on.
    #[must_use]
    pub fn new(
        (name, kind): (&str, ChallengeKind),
        token: &str,
        (key_authorization, digest): (&str, &[u8]),
        now: SystemTime,
    ) -> Self {
        let until = now.duration_since(UNIX_EPOCH).unwrap_or_default() + STANDS;
        Self {
            name: name.into(),
            kind,
            token: token.into(),
            key_authorization: key_authorization.into(),
            digest: BASE64_STANDARD.encode(digest).into(),
            until: until.as_secs(),
        }
    }

    /// Whether it has had its time.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        UNIX_EPOCH + Duration::from_secs(self.until) < now
    }

    /// The certificate of an answer by handshake: for its name alone, with the digest in a critical extension.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn certificate(&self) -> Result<ChallengeCertificate, AnswerError> {
        let digest = BASE64_STANDARD.decode(&*self.digest).map_err(AnswerError::of)?;
        // Else it is taken for a fault of the library's caller, who would be stopped.
        if digest.len() != 32 {
            return Err(AnswerError("its digest is no SHA-256".to_owned()));
        }
        let mut params = CertificateParams::new([self.name.to_string()]).map_err(AnswerError::of)?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
        let key = KeyPair::generate().map_err(AnswerError::of)?;
        let certificate = params.self_signed(&key).map_err(AnswerError::of)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        ChallengeCertificate::new(certificate.der().clone(), &key).map_err(AnswerError::of)
    }
}

/// Has `challenges` answer with exactly these from now on. Those of which no certificate can be made are named.
pub(crate) fn answer_with<'a>(
    challenges: &Challenges,
    answers: impl Iterator<Item = &'a Answer>,
) -> Vec<AnswerError> {
    let (mut certificates, mut tokens, mut errors) = (HashMap::new(), HashMap::new(), Vec::new());
    for answer in answers {
        match answer.kind {
            ChallengeKind::Http01 => {
                drop(tokens.insert(answer.token.clone(), answer.key_authorization.as_ref().into()));
            }
            // It is the same for as long as it is needed: three machines of an authority ask at once.
            ChallengeKind::TlsAlpn01 => match challenges.known(&answer.name, &answer.digest) {
                Some(known) => drop(certificates.insert(answer.name.clone(), known)),
                None => match answer.certificate() {
                    Ok(made) => {
                        drop(certificates.insert(answer.name.clone(), made.of(&answer.digest)));
                    }
                    Err(error) => errors.push(error),
                },
            },
        }
    }
    challenges.answer(certificates, tokens);
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: ChallengeKind) -> Answer {
        Answer::new(("edge.example", kind), "token", ("token.thumb", &[7; 32]), UNIX_EPOCH)
    }

    #[test]
    fn an_answer_has_its_time() {
        let answer = answer(ChallengeKind::Http01);
        assert!(!answer.is_over(UNIX_EPOCH + STANDS));
        assert!(answer.is_over(UNIX_EPOCH + STANDS + Duration::from_secs(1)));
    }

    #[test]
    fn challenges_are_answered_until_they_are_no_more() {
        let challenges = Challenges::default();
        let both = [answer(ChallengeKind::Http01), answer(ChallengeKind::TlsAlpn01)];
        assert!(answer_with(&challenges, both.iter()).is_empty());
        assert_eq!(challenges.token("token").as_deref(), Some("token.thumb"));
        assert!(challenges.certificate("edge.example").is_some() && challenges.awaits_requests());
        assert!(challenges.certificate("other.example").is_none());
        assert!(answer_with(&challenges, std::iter::empty()).is_empty());
        assert!(challenges.token("token").is_none() && challenges.certificate("edge.example").is_none());
        assert!(!challenges.awaits_requests());
    }

    #[test]
    fn a_digest_that_is_none_is_refused_and_stops_nothing() {
        let broken = Answer { digest: "AAAA".into(), ..answer(ChallengeKind::TlsAlpn01) };
        let error = broken.certificate().unwrap_err().to_string();
        assert!(error.ends_with("no SHA-256"), "{error}");
    }

    #[test]
    fn it_is_written_and_read() {
        let answer = answer(ChallengeKind::TlsAlpn01);
        let text = serde_json::to_string(&answer).unwrap();
        assert!(text.contains("\"tls-alpn-01\""), "{text}");
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }
}
