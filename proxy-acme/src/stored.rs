//! What the folder has of a name, read; and what memory has of it, written again.

use std::ops::Deref;
use std::sync::Arc;

use proxy_tls::Certificate;
use tracing::warn;

use crate::record::Record;
use crate::storage::{Storage, StorageError};

/// A certificate with what its file says: a key cannot be written again without it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) certificate: Certificate,
    /// The chain and the key, in PEM.
    pub(crate) pem: Arc<[u8]>,
}

impl Deref for Kept {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

/// What the folder has of a name. A certificate that cannot be used is none.
pub(crate) fn stored(storage: &Storage, name: &str) -> Result<(Option<Kept>, Record), StorageError> {
    let record = storage.record(name)?;
    let Some(pem) = storage.certificate(name)? else { return Ok((None, record)) };
    match Certificate::from_pem(&pem, &pem) {
        Ok(certificate) => Ok((Some(Kept { certificate, pem: pem.into() }), record)),
        Err(error) => {
            warn!(name, %error, "the certificate in the folder cannot be used");
            Ok((None, record))
        }
    }
}

/// Writes again what the folder has lost of a name, unless another process was faster. False while one has its lock.
pub(crate) fn restored(
    storage: &Storage,
    name: &str,
    kept: &Kept,
    record: &Record,
) -> Result<bool, StorageError> {
    // Its folders may be gone as well.
    storage.make()?;
    let Some(_lock) = storage.lock(name)? else { return Ok(false) };
    let there = storage.certificate(name)?.is_some_and(|pem| Certificate::from_pem(&pem, &pem).is_ok());
    if !there {
        storage.keep_certificate(name, &kept.pem)?;
        storage.keep_record(name, record)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn kept(name: &str) -> Kept {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let pem = certificate.pem() + &key.serialize_pem();
        let certificate = Certificate::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
        Kept { certificate, pem: pem.into_bytes().into() }
    }

    #[test]
    fn what_the_folder_has_lost_is_written_again_and_what_another_has_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("acme");
        let storage = Storage::open(&folder).unwrap();
        let (ours, theirs) = (kept("edge.example"), kept("edge.example"));
        let record = Record { renew_at: Some(7), ..Record::default() };
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(restored(&storage, "edge.example", &ours, &record).unwrap());
        let (there, remembered) = stored(&storage, "edge.example").unwrap();
        assert_eq!((there.unwrap().chain(), remembered), (ours.chain(), record.clone()));

        storage.keep_certificate("edge.example", &theirs.pem).unwrap();
        assert!(restored(&storage, "edge.example", &ours, &record).unwrap());
        assert_eq!(stored(&storage, "edge.example").unwrap().0.unwrap().chain(), theirs.chain());

        let half = &theirs.pem[..theirs.pem.len() / 2];
        storage.keep_certificate("edge.example", half).unwrap();
        let lock = storage.lock("edge.example").unwrap();
        assert!(!restored(&storage, "edge.example", &ours, &record).unwrap(), "another is at it");
        drop(lock);
        assert!(restored(&storage, "edge.example", &ours, &record).unwrap());
        assert_eq!(stored(&storage, "edge.example").unwrap().0.unwrap().chain(), ours.chain());
    }
}
