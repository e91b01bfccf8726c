//! What the folder has of a name, read.

use proxy_tls::Certificate;
use tracing::warn;

use crate::record::Record;
use crate::storage::{Storage, StorageError};

/// What the folder has of a name. A certificate that cannot be used is none: another one is obtained.
pub(crate) fn stored(storage: &Storage, name: &str) -> Result<(Option<Certificate>, Record), StorageError> {
    let record = storage.record(name)?;
    let Some(pem) = storage.certificate(name)? else { return Ok((None, record)) };
    match Certificate::from_pem(&pem, &pem) {
        Ok(certificate) => Ok((Some(certificate), record)),
        Err(error) => {
            warn!(name, %error, "the certificate in the folder cannot be used: another one is obtained");
            Ok((None, record))
        }
    }
}
