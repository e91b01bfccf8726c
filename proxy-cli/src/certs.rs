//! `smartproxy certs`: the certificates that are presented, what is wrong with them, and how it stands with those that are obtained.

use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Method;
use tokio::time::Instant;

use super::access::Access;
use super::format::{Align, Table, age, count, next_try, plain};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Certificate, Certificates, ObtainedCertificate, RenewCertificate};

/// How to tell it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line that begins with ! has expired, is not valid yet, or ends soon. Below the table: files that have changed and cannot be used,
and what was to be obtained from an authority and has failed, with its reason. Exit code 1 where there is one.

Examples:
  smartproxy certs
  smartproxy certs renew www.example.com            obtain it now, and say what came of it")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON: times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Have a certificate obtained now, whatever its schedule and earlier failures say, and wait for what comes of it.
    Renew(Renew),
}

#[derive(Debug, clap::Args)]
struct Renew {
    /// The name that it is for: one of a route with `certificates = "auto"`.
    name: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How long what comes of it is waited for: an order may take five minutes with each of two authorities.
const PATIENCE: Duration = Duration::from_secs(660);

/// How often it is asked.
const LOOK: Duration = Duration::from_millis(250);

impl Renew {
    async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let request = RenewCertificate { name: self.name };
        let begun: ObtainedCertificate = client.ask_for(Method::POST, "/v1/certs/renew", &request).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let certs: Certificates = client.fetch("/v1/certs").await?;
            let one = certs.obtained.into_iter().find(|one| one.name == begun.name);
            let one = one.unwrap_or_else(|| begun.clone());
            if one.tries > begun.tries || Instant::now() >= deadline {
                let obtained = one.tries > begun.tries && one.failures == 0;
                if self.json {
                    output::json(out, &one)?;
                } else {
                    output::text(out, came_of(&one, obtained, now()))?;
                }
                return Ok(if obtained { Outcome::Done } else { Outcome::No });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// In seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn came_of(one: &ObtainedCertificate, obtained: bool, now: f64) -> String {
    match one.not_after.filter(|_| obtained) {
        Some(until) => plain(&format!("{}: obtained, valid for {}", one.name, age(until - now))) + "\n",
        None => failing(one, now),
    }
}

/// A line about one that is to be obtained, and why it is not.
fn failing(one: &ObtainedCertificate, now: f64) -> String {
    let what = if one.not_after.is_some() { "it is not renewed" } else { "there is none yet" };
    let mut line = format!("! {}: {what}", one.name);
    if let Some(why) = &one.last_failure {
        let tries = count(one.failures.into(), "try", "tries");
        // INVARIANT: a string takes what is written.
        write!(line, "; {tries} failed, the last with {why}").unwrap_or_default();
    }
    if one.underway {
        line.push_str("; it is being obtained");
    } else if let Some(next) = one.next_try {
        write!(line, "; {}", next_try(next - now)).unwrap_or_default();
    }
    plain(&line) + "\n"
}

/// Whether something is wrong with it that somebody should know.
fn is_failing(one: &ObtainedCertificate) -> bool {
    one.failures > 0 || one.wanted && one.not_after.is_none()
}

impl Args {
    /// Lists them, or has one obtained.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        if let Some(What::Renew(renew)) = self.what {
            return renew.run(access, out).await;
        }
        let certs: Certificates = access.client()?.fetch("/v1/certs").await?;
        if self.json {
            output::json(out, &certs)?;
        } else {
            output::text(out, told(&certs))?;
        }
        let is_well = certs.unusable.is_empty() && certs.certificates.iter().all(is_valid);
        let is_well = is_well && !certs.obtained.iter().any(is_failing);
        Ok(if is_well { Outcome::Done } else { Outcome::No })
    }
}

fn is_valid(certificate: &Certificate) -> bool {
    certificate.standing == "valid"
}

fn told(certs: &Certificates) -> String {
    if certs.certificates.is_empty() && certs.unusable.is_empty() && certs.obtained.is_empty() {
        return "no certificate is presented: no route ends TLS\n".to_owned();
    }
    let unusable = certs.unusable.iter().map(|one| {
        let first = one.errors.first().map(String::as_str).unwrap_or_default();
        let more = match one.errors.len() {
            0 | 1 => String::new(),
            some => format!(", and {} more", some - 1),
        };
        plain(&format!("! {first}{more}; what was there before is presented, for {}", age(one.since_s)))
            + "\n"
    });
    let missing = certs.obtained.iter().filter(|one| is_failing(one)).map(|one| failing(one, now()));
    table(&certs.certificates).to_string() + &unusable.chain(missing).collect::<String>()
}

fn table(certificates: &[Certificate]) -> Table {
    use Align::{Left, Right};
    let columns = [("", Left), ("NAMES", Left), ("KEY", Left), ("LEFT", Right), ("STANDING", Left)];
    let columns = columns.into_iter().chain([("ISSUER", Left), ("ROUTES", Left), ("FILE", Left)]);
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    for one in certificates {
        table.row([
            if is_valid(one) { "" } else { "!" },
            &few(&one.names, "name", "names"),
            &one.key,
            &age(one.left_s),
            &one.standing,
            &one.issuer,
            &few(&one.routes, "route", "routes"),
            &one.file,
        ]);
    }
    table
}

/// The first, and how many there are beside it.
fn few(all: &[String], one: &str, many: &str) -> String {
    match all {
        [] => "-".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!(
            "{first} and {}",
            count(rest.len() as u64, &format!("more {one}"), &format!("more {many}"))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_api::model::UnusableCertificate;

    fn certificate(name: &str, standing: &str, left_s: f64) -> Certificate {
        Certificate {
            names: vec![name.to_owned(), format!("*.{name}")],
            key: "ECDSA 256".to_owned(),
            issuer: "R11".to_owned(),
            serial: "01:02".to_owned(),
            sha256: "00".to_owned(),
            not_before: 0.0,
            not_after: 0.0,
            left_s,
            standing: standing.to_owned(),
            source: "/etc/certs".to_owned(),
            file: format!("/etc/certs/{name}.pem"),
            key_file: None,
            routes: vec!["web".to_owned()],
        }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        let certs = Certificates {
            certificates: vec![
                certificate("a.example", "valid", 60.0 * 86_400.0),
                certificate("b.example", "expired", -3600.0),
            ],
            unusable: vec![UnusableCertificate {
                source: "/etc/certs".to_owned(),
                errors: vec!["/etc/certs/c.pem cannot be used: it is no PEM".to_owned(), "x".to_owned()],
                since_s: 90.0,
            }],
            obtained: Vec::new(),
        };
        insta::assert_snapshot!(told(&certs));
        assert!(
            told(&Certificates { certificates: Vec::new(), unusable: Vec::new(), obtained: Vec::new() })
                .starts_with("no certificate")
        );
    }

    #[test]
    fn what_is_not_obtained_says_why_and_when_it_is_tried_again() {
        let mut one = ObtainedCertificate {
            name: "www.example".to_owned(),
            wanted: true,
            underway: false,
            not_after: None,
            renew_at: None,
            authority: None,
            failures: 2,
            last_failure: Some("ca.example: http-01: no route to host".to_owned()),
            next_try: Some(1060.0),
            tries: 2,
        };
        assert_eq!(
            failing(&one, 1000.0),
            "! www.example: there is none yet; 2 tries failed, the last with ca.example: http-01: no route to host; next try in 1m00s\n"
        );
        assert!(is_failing(&one));
        one.not_after = Some(1000.0 + 90.0 * 86_400.0);
        assert!(failing(&one, 1000.0).starts_with("! www.example: it is not renewed; "));
        one.failures = 0;
        assert!(!is_failing(&one));
        assert_eq!(came_of(&one, true, 1000.0), "www.example: obtained, valid for 90d00h\n");
    }
}
