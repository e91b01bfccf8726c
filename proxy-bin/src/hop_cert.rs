//! Certificates by which hops prove to each other that they are: an authority of their own in a folder, and a file for each hop.
//!
//! ```text
//! hop-authority.pem        the authority: certificate and key; it signs, and no hop needs it
//! hop-authority.next.pem   the one that is to take its place: believed, and signs nothing yet
//! hop-authority.old.pem    the one before: believed, and signs nothing any more
//! NAME.pem                 for a hop: its certificate, its key, and the certificates of all authorities that are believed
//! ```
//! Another authority takes three steps, between which the files are taken to the hops: at no time does one hop refuse another.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proxy_cli::HopCert;
use proxy_cli::format::count;
use proxy_tls::{Hop, HopError};

use self::authority::Authority;
use self::private_file::write;

mod authority;
mod day;
mod private_file;

pub use self::day::Day;

/// What every file of an authority begins with, and no name of a hop.
const AUTHORITY: &str = "hop-authority";

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why no certificates were made. The messages say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HopCertError {
    /// There is no hop in the folder, and none was named.
    #[error("which hops? Name them, such as: smartproxy hop-cert outer inner")]
    NoNames,
    /// A name that is none for a file, and a hop.
    #[error(
        "\"{0}\" is no name for a hop: it has letters, digits, dots, hyphens and underscores, 64 at most, begins with a letter or a digit, and not with {AUTHORITY}"
    )]
    Name(String),
    /// A file that is there is something else.
    #[error("{} is there, and is no hop's: {why}; move it away, or take another name", path.display())]
    Other {
        /// Which.
        path: PathBuf,
        /// Why it is no hop's.
        why: HopError,
    },
    /// The authority's file cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate can be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Makes what is asked for; what was made, and what is to be done with it.
///
/// # Errors
/// Why it could not.
pub fn hop_cert(asked: &HopCert, now: SystemTime) -> Result<String, HopCertError> {
    let folder = Folder(&asked.folder);
    if !asked.names.is_empty() {
        folder.is_there()?;
    }
    let names = folder.hops(&asked.names)?;
    let (signs, believed, said) =
        if asked.next_authority { folder.step(now)? } else { folder.present(now)? };
    let lifetime = DAY * asked.days;
    let mut text = said;
    for name in &names {
        let issued = signs.issue(name, now, lifetime)?;
        // Who was shut out stays so.
        let revoked = folder.text(&folder.hop(name))?.map(|before| lists(&before)).unwrap_or_default();
        write(&folder.hop(name), &(issued + &believed + &revoked))?;
        let until = Day::of(now + lifetime);
        text += &format!(
            "{}: for {}, until {until}\n",
            folder.hop(name).display(),
            count(asked.days.into(), "day", "days")
        );
    }
    Ok(text + &advice(&names, &folder))
}

/// The lists of revoked certificates in a PEM text, as they are.
fn lists(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN X509 CRL-----";
    const END: &str = "-----END X509 CRL-----";
    let each = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    each.map(|(list, _)| format!("{BEGIN}{list}{END}\n")).collect()
}

/// What is to be done with the files.
fn advice(names: &[String], folder: &Folder<'_>) -> String {
    let (first, last) =
        (names.first().map_or("outer", |name| name), names.last().map_or("inner", |name| name));
    format!(
        "Take each file to its hop, readable by the proxy's user alone; a hop that runs takes it by: smartproxy reload\n\
         A route to hops has: hop = \"/etc/smartproxy/{first}.pem\"\nA listener for hops has: hop = \"/etc/smartproxy/{last}.pem\"\n\
         {} has the key of the authority: no hop needs it.\n",
        folder.authority("").display()
    )
}

/// Where the files are.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn authority(&self, which: &str) -> PathBuf {
        self.0.join(format!("{AUTHORITY}{which}.pem"))
    }

    fn hop(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    /// The hops that were named, or else all that have a file here.
    fn hops(&self, named: &[String]) -> Result<Vec<String>, HopCertError> {
        if let Some(wrong) = named.iter().find(|name| !is_name(name)) {
            return Err(HopCertError::Name(wrong.clone()));
        }
        for name in named {
            let path = self.hop(name);
            if let Some(text) = self.text(&path)? {
                Hop::from_pem(text.as_bytes(), Vec::new())
                    .map_err(|why| HopCertError::Other { path, why })?;
            }
        }
        if !named.is_empty() {
            return Ok(named.to_vec());
        }
        let entries = std::fs::read_dir(self.0).map_err(|source| file(self.0, source))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| file(self.0, source))?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pem"));
            let Some(name) = name.filter(|name| is_name(name)) else { continue };
            let text = self.text(&path)?.unwrap_or_default();
            if Hop::from_pem(text.as_bytes(), Vec::new()).is_ok() {
                found.push(name.to_owned());
            }
        }
        found.sort_unstable();
        if found.is_empty() { Err(HopCertError::NoNames) } else { Ok(found) }
    }

    /// Makes it where it is not there, for its owner alone.
    fn is_there(&self) -> Result<(), HopCertError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.0);
        made.map_err(|source| file(self.0, source))
    }

    fn text(&self, path: &Path) -> Result<Option<String>, HopCertError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file(path, source)),
        }
    }

    /// The authority in a file, if there is one.
    fn read(&self, which: &str) -> Result<Option<Authority>, HopCertError> {
        let path = self.authority(which);
        let text = self.text(&path)?;
        text.map(|text| Authority::read(&text).map_err(|why| HopCertError::Authority { path, why }))
            .transpose()
    }

    fn certificate_of_old(&self) -> Result<String, HopCertError> {
        Ok(self.text(&self.authority(".old"))?.unwrap_or_default())
    }

    /// Makes an authority in a file.
    fn make(&self, which: &str, now: SystemTime) -> Result<Authority, HopCertError> {
        let authority = Authority::make(now)?;
        write(&self.authority(which), &authority.pem())?;
        Ok(authority)
    }

    /// Who signs, the certificates of all that are believed, and what there is to say: as things are.
    fn present(&self, now: SystemTime) -> Result<(Authority, String, String), HopCertError> {
        let (signs, said) = match self.read("")? {
            Some(authority) => (authority, String::new()),
            None => {
                let made = self.make("", now)?;
                (made, format!("{}: a new authority\n", self.authority("").display()))
            }
        };
        let next = self.read(".next")?.map(|next| next.certificate().to_owned()).unwrap_or_default();
        let believed = signs.certificate().to_owned() + &next + &self.certificate_of_old()?;
        Ok((signs, believed, said))
    }

    /// The same, one step further on the way to another authority.
    fn step(&self, now: SystemTime) -> Result<(Authority, String, String), HopCertError> {
        let again = "When every hop has its file and was reloaded: the same command again.\n";
        let old = self.authority(".old");
        if let Some(next) = self.read(".next")? {
            let (signs, before) = (self.authority(""), self.read("")?);
            // First what is believed, then who signs: cut short, the same step is the next one.
            let before = before.map(|before| before.certificate().to_owned()).unwrap_or_default();
            write(&old, &before)?;
            let from = self.authority(".next");
            std::fs::rename(&from, &signs).map_err(|source| file(&from, source))?;
            let believed = next.certificate().to_owned() + &before;
            return Ok((
                next,
                believed,
                format!("Step 2 of 3: the new authority signs, and both are believed. {again}"),
            ));
        }
        if old.exists() {
            std::fs::remove_file(&old).map_err(|source| file(&old, source))?;
            let (signs, believed, _) = self.present(now)?;
            return Ok((signs, believed, "Step 3 of 3: the old authority is forgotten.\n".to_owned()));
        }
        let _ = self.present(now)?;
        self.make(".next", now)?;
        let (signs, believed, _) = self.present(now)?;
        Ok((
            signs,
            believed,
            format!("Step 1 of 3: a new authority is believed, and signs nothing yet. {again}"),
        ))
    }
}

fn file(path: &Path, source: io::Error) -> HopCertError {
    HopCertError::File { path: path.to_path_buf(), source }
}

/// Whether it may be the name of a hop: it is one of a file, and a common name, which has 64 characters at most (RFC 5280, appendix A.1).
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    begins && name.len() <= 64 && name.chars().all(fits) && !name.starts_with(AUTHORITY)
}

#[cfg(test)]
mod tests;
