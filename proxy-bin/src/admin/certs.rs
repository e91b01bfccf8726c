//! The certificates that are presented.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use proxy_api::model::{
    Certificate, Certificates, ObtainedCertificate, RenewCertificate, UnusableCertificate,
};

use super::api::Api;
use super::body::JsonBody;
use super::view::{secs, since_1970};
use crate::admin::problem::Problem;
use crate::certificates::{Listed, Standing};

/// `GET /v1/certs`.
pub(super) async fn all(State(api): State<Arc<Api>>) -> Json<Certificates> {
    let (registry, now) = (api.control().certificates(), SystemTime::now());
    let certificates = registry.listed().iter().map(|listed| certificate(listed, now)).collect();
    let unusable = registry.troubles().into_iter().map(|(source, trouble)| UnusableCertificate {
        source: source.path().display().to_string(),
        errors: trouble.errors.iter().map(ToString::to_string).collect(),
        since_s: secs(trouble.since.elapsed()),
    });
    let obtained = api.control().obtained().iter().map(obtained).collect();
    Json(Certificates { certificates, unusable: unusable.collect(), obtained })
}

/// `POST /v1/certs/renew`. It is begun, and not waited for: the list says what came of it.
pub(super) async fn renew(
    State(api): State<Arc<Api>>,
    JsonBody(RenewCertificate { name }): JsonBody<RenewCertificate>,
) -> Result<Json<ObtainedCertificate>, Problem> {
    let control = api.control();
    control.renew_certificate(&name).map_err(|error| Problem::not_found(format!("{name}: {error}")))?;
    let all = control.obtained();
    let one = all.iter().find(|one| *one.name == *name).map(obtained);
    one.map(Json).ok_or_else(|| Problem::not_found(format!("{name}: a reload has just removed it")))
}

fn obtained(standing: &proxy_acme::Standing) -> ObtainedCertificate {
    ObtainedCertificate {
        name: standing.name.to_string(),
        wanted: standing.wanted,
        underway: standing.underway,
        not_after: standing.not_after.map(since_1970),
        renew_at: standing.renew_at.map(since_1970),
        authority: standing.authority.clone(),
        failures: standing.failures,
        last_failure: standing.last_failure.clone(),
        next_try: standing.next_try.map(since_1970),
        tries: standing.tries,
    }
}

fn certificate(listed: &Listed, now: SystemTime) -> Certificate {
    let Listed { source, pair, certificate, routes } = listed;
    let until = since_1970(certificate.not_after());
    let details = certificate.details().unwrap_or_default();
    Certificate {
        names: certificate.names().to_vec(),
        key: details.key,
        issuer: details.issuer,
        serial: details.serial,
        sha256: details.sha256,
        not_before: since_1970(certificate.not_before()),
        not_after: until,
        left_s: until - since_1970(now),
        standing: Standing::of(certificate, now).name().to_owned(),
        source: source.path().display().to_string(),
        file: pair.certificate.display().to_string(),
        key_file: pair.key.as_ref().map(|key| key.display().to_string()),
        routes: routes.iter().map(ToString::to_string).collect(),
    }
}
