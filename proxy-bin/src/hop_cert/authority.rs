//! An authority of hops: it vouches for them, and for nobody else.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::DAY;

/// For how long an authority is believed: ten years.
const LIFETIME: Duration = Duration::from_secs(3650 * DAY.as_secs());

/// By how much the clocks of hops may differ.
const CLOCKS: Duration = Duration::from_secs(3600);

/// An authority with its key.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub(super) fn make(now: SystemTime) -> Result<Self, rcgen::Error> {
        let (key, mut params) = (KeyPair::generate()?, CertificateParams::default());
        // No two have the same name: whose signature it is not is told by the name.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("SmartProxy hops {:08x}", fastrand::u32(..)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = ((now - CLOCKS).into(), (now + LIFETIME).into());
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The one in a text that has its certificate first, and then its key; why there is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let end = "-----END CERTIFICATE-----\n";
        let (certificate, key) = text.split_once(end).ok_or("it has no certificate")?;
        let certificate = format!("{certificate}{end}");
        let key = KeyPair::from_pem(key).map_err(|error| format!("its key: {error}"))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key);
        let issuer = issuer.map_err(|error| format!("its certificate: {error}"))?;
        Ok(Self { certificate, issuer })
    }

    /// Its certificate, in PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its certificate and its key, in PEM.
    pub(super) fn pem(&self) -> String {
        self.certificate.clone() + &self.issuer.key().serialize_pem()
    }

    /// A certificate of the hop of that name, and its key, in PEM.
    pub(super) fn issue(
        &self,
        name: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, rcgen::Error> {
        let key = KeyPair::generate()?;
        // What is no name of a host is the common name alone.
        let mut params = CertificateParams::new([name.to_owned()]).or_else(|_| CertificateParams::new([]))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = ((now - CLOCKS).into(), (now + lifetime).into());
        Ok(params.signed_by(&key, &self.issuer)?.pem() + &key.serialize_pem())
    }
}
