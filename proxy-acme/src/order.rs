//! One order, from the account to the chain.
//!
//! ```text
//! account ─► order ─► authorization ─► answer in place ─► ready ─► CSR ─► chain
//! ```
//! Every request has a deadline of its own, and so have the two waits for the authority's decision. The answer is taken away by
//! the one who began the order, whatever has become of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use proxy_core::Dial;
use proxy_tls::Certificate;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::answer::{Answer, ChallengeKind};
use crate::aside::aside;
use crate::authority::{Authority, ExternalAccount};
use crate::desk::Desk;
use crate::failure::{Failure, FailureKind, said};
use crate::http::Transport;
use crate::schedule::Window;
use crate::storage::Storage;
use crate::stored::Kept;

/// How long an authority may take to decide. They ask from several places, each with a few seconds of patience.
const DECISION: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// How often an order is begun anew where its authority does not take its own nonces: the library tries each request three times, of
/// which a busy authority with several machines may lose all.
const NONCES: usize = 3;

/// The most authorizations of an order that are looked at: one name has one.
const AUTHORIZATIONS: usize = 10;

/// What orders are made with.
pub(crate) struct Clerk<'a, D> {
    pub(crate) authority: &'a Authority,
    pub(crate) transport: Transport<D>,
    pub(crate) storage: &'a Arc<Storage>,
    pub(crate) contacts: &'a [String],
    pub(crate) desk: &'a Desk,
}

impl<D: Dial> Clerk<'_, D>
where
    D::Stream: Unpin,
{
    /// A certificate for `name`, proved by `kind`; the one that it is to replace helps an authority to let it pass its limits.
    ///
    /// # Errors
    /// Why there is none, and what the next try has to heed.
    pub(crate) async fn obtain(
        &self,
        name: &str,
        kind: ChallengeKind,
        replaces: Option<&Certificate>,
    ) -> Result<Kept, Failure> {
        let mut replaces = replaces.and_then(identifier);
        let mut anew = false;
        let mut outcome = Err(Failure::new(FailureKind::Nonces, "it was not tried"));
        for _ in 0..NONCES {
            outcome = self.try_once(name, kind, replaces.clone()).await;
            match outcome.as_ref().map_err(|failure| failure.kind) {
                Err(FailureKind::Nonces) => {}
                Err(FailureKind::NoSuccessor) => replaces = None,
                Err(FailureKind::NoAccount) if !anew => {
                    anew = true;
                    let directory = self.authority.directory();
                    aside(self.storage, move |storage| storage.forget_account(&directory)).await?;
                }
                Err(_) | Ok(_) => break,
            }
        }
        outcome.map_err(|failure| Failure { not_before: self.transport.not_before(), ..failure })
    }

    async fn try_once(
        &self,
        name: &str,
        kind: ChallengeKind,
        replaces: Option<CertificateIdentifier<'static>>,
    ) -> Result<Kept, Failure> {
        let account = self.account().await?;
        let identifiers = [Identifier::Dns(name.to_owned())];
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(replaces) = replaces {
            wanted = wanted.replaces(replaces);
        }
        let mut order = account.new_order(&wanted).await.map_err(self.failed("new order"))?;
        self.prove(&mut order, name, kind).await?;
        self.finish(&mut order, name).await
    }

    /// Answers the challenges of an order, and waits until the authority has seen that.
    async fn prove(&self, order: &mut Order, name: &str, kind: ChallengeKind) -> Result<(), Failure> {
        self.answer(order, name, kind).await?;
        match order.poll_ready(&DECISION).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            Ok(_) => Err(self.refused(order, kind, None).await),
            Err(error @ instant_acme::Error::Api(_)) => {
                let told = Failure::of(kind.name(), self.authority.host(), &error);
                if told.kind == FailureKind::Refused {
                    return Err(self.refused(order, kind, Some(told)).await);
                }
                Err(told)
            }
            Err(error) => Err(self.failed(kind.name())(error)),
        }
    }

    async fn answer(&self, order: &mut Order, name: &str, kind: ChallengeKind) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        for _ in 0..AUTHORIZATIONS {
            let Some(next) = authorizations.next().await else { break };
            let mut authorization = next.map_err(self.failed("authorization"))?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let wanted = match kind {
                ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
                ChallengeKind::Http01 => ChallengeType::Http01,
            };
            let Some(mut challenge) = authorization.challenge(wanted) else {
                let why = format!("{}: it offers no {} for {name}", self.authority.host(), kind.name());
                return Err(Failure::new(FailureKind::Refused, why));
            };
            let proof = challenge.key_authorization();
            let said = (proof.as_str(), proof.digest());
            let said = (said.0, said.1.as_ref());
            let answer = Answer::new((name, kind), &challenge.token, said, SystemTime::now());
            self.desk.put(answer).await?;
            challenge.set_ready().await.map_err(self.failed(kind.name()))?;
        }
        Ok(())
    }

    /// Why the authority has refused: what it says of the challenge itself, which is nearer to the cause than what it says of the order.
    async fn refused(&self, order: &mut Order, kind: ChallengeKind, of_order: Option<Failure>) -> Failure {
        let mut authorizations = order.authorizations();
        for _ in 0..AUTHORIZATIONS {
            let Some(Ok(mut authorization)) = authorizations.next().await else { break };
            let Ok(state) = authorization.refresh().await else { break };
            let mut errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            if let Some(problem) = errors.next() {
                let text = format!("{}: {}: {}", self.authority.host(), kind.name(), said(problem));
                return Failure::new(FailureKind::Refused, text);
            }
        }
        of_order.unwrap_or_else(|| {
            let text = format!("{}: {}: the order is invalid", self.authority.host(), kind.name());
            Failure::new(FailureKind::Refused, text)
        })
    }

    /// The chain of an order that is ready.
    async fn finish(&self, order: &mut Order, name: &str) -> Result<Kept, Failure> {
        let (key, csr) = request(name)?;
        order.finalize_csr(&csr).await.map_err(self.failed("finalize"))?;
        let chain = order.poll_certificate(&DECISION).await.map_err(self.failed("certificate"))?;
        let unusable = |why: String| {
            Failure::new(
                FailureKind::Unreachable,
                format!("{}: its certificate {why}", self.authority.host()),
            )
        };
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes())
            .map_err(|error| unusable(format!("cannot be used: {error}")))?;
        if !certificate.names().iter().any(|one| one == name) {
            return Err(unusable(format!("is not for {name}")));
        }
        let end = if chain.ends_with('\n') { "" } else { "\n" };
        let pem = format!("{chain}{end}{key}").into_bytes().into();
        Ok(Kept { certificate, pem })
    }

    /// When the authority wants `certificate` to be renewed, and after how long it wants to be asked again.
    ///
    /// # Errors
    /// Also where it knows nothing of such windows.
    pub(crate) async fn window(&self, certificate: &Certificate) -> Result<(Window, Duration), Failure> {
        let Some(identifier) = identifier(certificate) else {
            return Err(Failure::new(FailureKind::Refused, "the certificate names no authority key"));
        };
        let account = self.account().await?;
        let asked = account.renewal_info(&identifier).await.map_err(self.failed("renewal window"))?;
        let (info, again) = asked;
        let window = info.suggested_window;
        Ok((Window { start: window.start.into(), end: window.end.into() }, again))
    }

    /// The account here; it is made where there is none.
    async fn account(&self) -> Result<Account, Failure> {
        let directory = self.authority.directory();
        for _ in 0..ACCOUNT_TRIES {
            if let Some(known) = self.known_account().await? {
                let builder = Account::builder_with_http(Box::new(self.transport.clone()));
                return builder.from_credentials(known).await.map_err(self.failed("directory"));
            }
            let url = directory.clone();
            // One of those who share the folder makes it, and the others find it.
            if let Some(_lock) = aside(self.storage, move |storage| storage.lock_account(&url)).await? {
                if self.known_account().await?.is_some() {
                    continue;
                }
                return self.new_account(directory).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let why =
            format!("{}: another process has been making the account for too long", self.authority.host());
        Err(Failure::new(FailureKind::Storage, why))
    }

    async fn known_account(&self) -> Result<Option<AccountCredentials>, Failure> {
        let url = self.authority.directory();
        Ok(aside(self.storage, move |storage| storage.account::<AccountCredentials>(&url)).await?)
    }

    async fn new_account(&self, directory: String) -> Result<Account, Failure> {
        let contacts: Vec<_> = self.contacts.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.authority.external.as_ref().map(ExternalAccount::key);
        let builder = Account::builder_with_http(Box::new(self.transport.clone()));
        let made = builder.create(&wanted, directory.clone(), external.as_ref()).await;
        let (account, credentials) = made.map_err(self.failed("new account"))?;
        aside(self.storage, move |storage| storage.keep_account(&directory, &credentials)).await?;
        Ok(account)
    }

    fn failed(&self, step: &'static str) -> impl Fn(instant_acme::Error) -> Failure {
        move |error| Failure::of(step, self.authority.host(), &error)
    }
}

/// How often it is looked whether another process has made the account, a second apart.
const ACCOUNT_TRIES: usize = 45;

/// A new key, and the request for a certificate with it.
fn request(name: &str) -> Result<(String, Vec<u8>), Failure> {
    let failed = |error: rcgen::Error| Failure::new(FailureKind::Refused, format!("{name}: {error}"));
    let mut params = CertificateParams::new([name.to_owned()]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().map_err(failed)?;
    let request = params.serialize_request(&key).map_err(failed)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

/// By what an authority knows a certificate of its own again. None where it does not say which key it was signed with.
fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let first = certificate.chain().first()?;
    CertificateIdentifier::try_from(first).ok().map(CertificateIdentifier::into_owned)
}
