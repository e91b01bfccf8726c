//! The certificates that are presented.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The certificates that are presented, and what of their files cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificates {
    /// Each of them.
    pub certificates: Vec<Certificate>,
    /// Files that have changed and cannot be used: what they were before is presented.
    pub unusable: Vec<UnusableCertificate>,
    /// Those that are obtained from an authority, by name: how it stands with each.
    #[serde(default)]
    pub obtained: Vec<ObtainedCertificate>,
}

/// A certificate that is presented.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The names that it is for.
    pub names: Vec<String>,
    /// The kind of its key, such as `ECDSA 256` or `RSA 2048`.
    pub key: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Its number, in hexadecimal digits.
    pub serial: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
    /// When it begins to be valid, in seconds since 1970.
    pub not_before: f64,
    /// When it ceases to be valid, in seconds since 1970.
    pub not_after: f64,
    /// How much is left of it; below 0 where it has ended.
    pub left_s: f64,
    /// `valid`, `ends_soon`, `not_yet` or `expired`.
    pub standing: String,
    /// Where it comes from, as the configuration names it: a file or a folder.
    pub source: String,
    /// The file that it is in.
    pub file: String,
    /// The file of its key, where that is another one.
    pub key_file: Option<String>,
    /// The routes that present it.
    pub routes: Vec<String>,
}

/// A file or folder that has changed and cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnusableCertificate {
    /// Which, as the configuration names it.
    pub source: String,
    /// Why.
    pub errors: Vec<String>,
    /// For how long.
    pub since_s: f64,
}

/// How it stands with a certificate that is obtained from an authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObtainedCertificate {
    /// The name that it is for.
    pub name: String,
    /// Whether it is to be obtained; one on demand is not before a client has asked for it.
    pub wanted: bool,
    /// Whether it is being obtained at the moment.
    pub underway: bool,
    /// When it ceases to be valid, in seconds since 1970; nothing where there is none yet.
    pub not_after: Option<f64>,
    /// When it is to be renewed, in seconds since 1970.
    pub renew_at: Option<f64>,
    /// The directory of the authority that has made it.
    pub authority: Option<String>,
    /// How often obtaining it has failed in a row.
    pub failures: u32,
    /// Why it has failed the last time.
    pub last_failure: Option<String>,
    /// Not before then it is tried again, in seconds since 1970.
    pub next_try: Option<f64>,
    /// How often it was tried in all since the start.
    pub tries: u64,
}

/// Has a certificate obtained now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewCertificate {
    /// Which: a name that certificates are obtained for.
    pub name: String,
}
