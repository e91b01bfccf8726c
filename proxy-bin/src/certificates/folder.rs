//! Folders of certificates, as other programs lay them out.
//!
//! ```text
//! both.pem                     certificate and key in one: HAProxy, Caddy's load_folders
//! a.crt a.key | a.pem a.key    nginx, Apache, lego, Kubernetes (tls.crt)
//! b.pem b-key.pem              mkcert
//! c.crt c.crt.key              HAProxy
//! www/fullchain.pem privkey.pem    certbot's live/
//! www/www.crt www.key          Caddy's own: a folder in it may have what it has itself
//! ```

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::pair::{LARGEST, Pair};
use crate::plain_file;

/// The most entries that a folder may have: twenty thousand certificates, each with what certbot has beside it.
const MOST: usize = 100_000;

/// What the root of a file system has, for root alone.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// What begins a private key in PEM, of whatever kind.
const KEY: &[u8] = b"PRIVATE KEY-----";

/// What a folder has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Certificates with their keys, in the order of their names.
    pub(super) pairs: Vec<Pair>,
    /// Those with no key that could be found.
    pub(super) without_key: Vec<PathBuf>,
}

/// What `folder` and the folders in it have. Nothing is read of files that have their key in another one, or are `known` to have it.
pub(super) fn list(folder: &Path, known: &HashSet<&Path>) -> io::Result<Listing> {
    let entries = Entries::of(folder)?;
    let mut listing = Listing::default();
    entries.list(known, &mut listing);
    for folder in &entries.folders {
        Entries::of(folder)?.list(known, &mut listing);
    }
    Ok(listing)
}

#[derive(Default)]
struct Entries {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Entries {
    /// Hidden ones are passed over: those are of editors, and of Kubernetes.
    fn of(folder: &Path) -> io::Result<Self> {
        let mut entries = Self::default();
        for entry in std::fs::read_dir(folder)?.take(MOST) {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            if name.as_encoded_bytes().starts_with(b".") || name == OF_THE_FILE_SYSTEM {
                continue;
            }
            // Through links: certbot's, and those of Kubernetes, are links.
            if path.is_dir() {
                entries.folders.insert(path)
            } else {
                entries.files.insert(path)
            };
        }
        Ok(entries)
    }

    fn list(&self, known: &HashSet<&Path>, listing: &mut Listing) {
        if let Some(pair) = self.certbot() {
            listing.pairs.push(pair);
            return;
        }
        for file in &self.files {
            let extension = file.extension().and_then(OsStr::to_str);
            if !matches!(extension, Some("pem" | "crt" | "cer")) || is_key(file) {
                continue;
            }
            match self.key_of(file) {
                Some(key) => listing.pairs.push(Pair { certificate: file.clone(), key: Some(key) }),
                None if known.contains(&**file) || has_key(file) => {
                    listing.pairs.push(Pair { certificate: file.clone(), key: None });
                }
                None => listing.without_key.push(file.clone()),
            }
        }
    }

    /// A folder of certbot's has the same certificate in three files.
    fn certbot(&self) -> Option<Pair> {
        let named = |name: &str| self.files.iter().find(|file| file.ends_with(name)).cloned();
        Some(Pair { certificate: named("fullchain.pem")?, key: Some(named("privkey.pem")?) })
    }

    fn key_of(&self, file: &Path) -> Option<PathBuf> {
        let mut behind = file.as_os_str().to_owned();
        behind.push(".key");
        let mut dashed = file.file_stem()?.to_owned();
        dashed.push("-key.pem");
        let all = [file.with_extension("key"), behind.into(), file.with_file_name(dashed)];
        all.into_iter().find(|key| self.files.contains(key))
    }
}

/// Whether it is a key of mkcert's.
fn is_key(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem.as_encoded_bytes().ends_with(b"-key"))
}

/// Whether a file has a key in it. One that cannot be read is taken for one that has: then whoever reads it says why.
fn has_key(file: &Path) -> bool {
    plain_file::read(file, LARGEST).map_or(true, |text| text.windows(KEY.len()).any(|at| at == KEY))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a folder with these files has, without the folder's own name. A file is its name, and `+key` where there is a key in it.
    fn of(files: &[&str]) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let (name, has_key) = file.strip_suffix("+key").map_or((*file, false), |name| (name, true));
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text =
                if has_key { "-----BEGIN EC PRIVATE KEY-----\n" } else { "-----BEGIN CERTIFICATE-----\n" };
            std::fs::write(path, text).unwrap();
        }
        let short = |path: &Path| path.strip_prefix(dir.path()).unwrap().display().to_string();
        let Listing { pairs, without_key } = list(dir.path(), &HashSet::new()).unwrap();
        let pairs = pairs.iter().map(|pair| match &pair.key {
            Some(key) => format!("{} {}", short(&pair.certificate), short(key)),
            None => short(&pair.certificate),
        });
        (pairs.collect(), without_key.iter().map(|path| short(path)).collect())
    }

    #[test]
    fn certificates_are_found_as_other_programs_lay_them_out() {
        for (files, pairs) in [
            (&["b.pem+key", "a.pem+key", "README"][..], &["a.pem", "b.pem"][..]),
            (&["a.crt", "a.key+key", "b.pem", "b.key+key"], &["a.crt a.key", "b.pem b.key"]),
            (&["a.crt", "a.crt.key+key"], &["a.crt a.crt.key"]),
            (&["a.pem", "a-key.pem+key"], &["a.pem a-key.pem"]),
            (
                &["www/cert.pem", "www/chain.pem", "www/fullchain.pem", "www/privkey.pem+key", "README"],
                &["www/fullchain.pem www/privkey.pem"],
            ),
            (&["fullchain.pem", "privkey.pem+key"], &["fullchain.pem privkey.pem"]),
            (&["www/www.crt", "www/www.key+key", "www/www.json"], &["www/www.crt www/www.key"]),
            (&["tls.crt", "tls.key+key", ".hidden/x.pem+key", "lost+found/x.pem+key"], &["tls.crt tls.key"]),
            (&["one/two/x.pem+key"], &[]),
        ] {
            assert_eq!(of(files), (pairs.iter().map(ToString::to_string).collect(), Vec::new()), "{files:?}");
        }
    }

    #[test]
    fn one_without_a_key_is_passed_over() {
        let (pairs, without_key) = of(&["a.crt", "a.key+key", "a.issuer.crt", "dhparam.pem"]);
        assert_eq!(
            (pairs, without_key),
            (vec!["a.crt a.key".to_owned()], vec!["a.issuer.crt".to_owned(), "dhparam.pem".to_owned()])
        );
    }
}
