//! `smartproxy certs`: the certificates that are presented, and what is wrong with them.

use std::io::Write;

use super::access::Access;
use super::format::{Align, Table, age, count, plain};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Certificate, Certificates};

/// How to tell it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line that begins with ! has expired, is not valid yet, or ends soon; files that have changed and cannot be used are below the table.
Exit code 1 where there is one.")]
pub struct Args {
    /// Print JSON: times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Lists them.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let certs: Certificates = access.client()?.fetch("/v1/certs").await?;
        if self.json {
            output::json(out, &certs)?;
        } else {
            output::text(out, told(&certs))?;
        }
        let is_well = certs.unusable.is_empty() && certs.certificates.iter().all(is_valid);
        Ok(if is_well { Outcome::Done } else { Outcome::No })
    }
}

fn is_valid(certificate: &Certificate) -> bool {
    certificate.standing == "valid"
}

fn told(certs: &Certificates) -> String {
    if certs.certificates.is_empty() && certs.unusable.is_empty() {
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
    table(&certs.certificates).to_string() + &unusable.collect::<String>()
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
        };
        insta::assert_snapshot!(told(&certs));
        assert!(
            told(&Certificates { certificates: Vec::new(), unusable: Vec::new() })
                .starts_with("no certificate")
        );
    }
}
