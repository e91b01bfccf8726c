//! Whether the hops' configurations fit together: each with the next one.

use crate::config::{Config, Findings, between};
use proxy_api::model::Disagreement;

/// The largest text that is compared: some ten thousand routes, and some hundred milliseconds of one thread.
pub(super) const LARGEST: usize = 1 << 20;

/// One hop's configuration, under the hop's name.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: String,
}

/// What does not fit, or why that cannot be said. It takes time: not for a runtime's own thread.
pub(super) fn compare(texts: &[Text]) -> Result<Vec<Disagreement>, String> {
    if let Some(large) = texts.iter().find(|one| one.text.len() > LARGEST) {
        return Err(format!(
            "the configuration of {} is too large to be compared here: smartproxy check",
            large.name
        ));
    }
    let configs: Vec<(&str, Config)> = texts.iter().map(read).collect::<Result<_, _>>()?;
    let (mut found, mut proxies) = (Vec::new(), 0);
    for pair in configs.windows(2) {
        let [(outer, outer_config), (inner, inner_config)] = pair else { continue };
        let both = between(outer_config, inner_config, proxies);
        proxies = both.proxies;
        let said = |at: &str, findings: &Findings| -> Vec<Disagreement> {
            let one = |finding: &crate::config::Finding| Disagreement {
                outer: (*outer).to_owned(),
                inner: (*inner).to_owned(),
                at: at.to_owned(),
                sentence: told(finding),
                mends: finding.help.clone(),
                advice: finding.is_advice,
            };
            findings.iter().map(one).collect()
        };
        found.extend(said(outer, &both.outer));
        found.extend(said(inner, &both.inner));
    }
    Ok(found)
}

fn read(Text { name, text }: &Text) -> Result<(&str, Config), String> {
    let config = Config::parse(text, name);
    let config =
        config.map_err(|_| format!("this version does not understand the configuration of {name}"))?;
    Ok((name, config))
}

fn told(finding: &crate::config::Finding) -> String {
    if finding.label.is_empty() {
        finding.title.clone()
    } else {
        format!("{}: {}", finding.title, finding.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(name: &str, port: u16, target: &str, idle: &str) -> Text {
        let accept = if name == "outer" {
            ""
        } else {
            "[[listeners]]\nports = [PORT]\naccept_proxy = { required = [\"127.0.0.1/32\"] }\n"
        };
        let text = format!(
            "{accept}[[routes]]\nname = \"web\"\nmatch = {{ ports = [PORT] }}\naction = {{ forward = [\"{target}\"] }}\nsend_proxy = \"v2\"\n\
             timeouts = {{ inactivity_timeout = \"{idle}\" }}\n"
        );
        Text { name: name.to_owned(), text: text.replace("PORT", &port.to_string()) }
    }

    #[test]
    fn an_inner_hop_that_is_more_patient_than_the_outer_one_is_told_and_one_that_is_less_is_not() {
        let chain = |outer: &str, inner: &str, innermost: &str| {
            let texts = [
                hop("outer", 9001, "127.0.0.1:9002", outer),
                hop("middle", 9002, "127.0.0.1:9003", inner),
                hop("inner", 9003, "127.0.0.1:80", innermost),
            ];
            let found = compare(&texts).unwrap().into_iter().filter(|one| !one.advice);
            found.map(|one| (one.outer, one.inner, one.at)).collect::<Vec<_>>()
        };
        let pair = |outer: &str, inner: &str| (outer.to_owned(), inner.to_owned(), inner.to_owned());
        assert_eq!(chain("10m", "8m", "6m"), []);
        assert_eq!(chain("10m", "10m", "6m"), [pair("outer", "middle")]);
        assert_eq!(chain("10m", "8m", "9m"), [pair("middle", "inner")]);
        let texts = [hop("outer", 9001, "127.0.0.1:9002", "5m"), hop("inner", 9002, "127.0.0.1:80", "6m")];
        let found: Vec<_> = compare(&texts).unwrap().into_iter().filter(|one| !one.advice).collect();
        assert!(found[0].sentence.contains("inactivity_timeout is 6m here and 5m there"), "{found:?}");
        assert!(found[0].sentence.contains("of route \"web\" of outer"), "the hop has its name: {found:?}");
        assert!(found[0].mends.as_ref().unwrap().contains("inactivity_timeout = "), "{found:?}");
    }

    #[test]
    fn what_is_not_understood_or_too_large_says_so() {
        let strange = Text { name: "inner".to_owned(), text: "of_tomorrow = 1".to_owned() };
        assert!(compare(&[strange]).unwrap_err().contains("does not understand the configuration of inner"));
        let large = Text { name: "inner".to_owned(), text: "#".repeat(LARGEST + 1) };
        assert!(compare(&[large]).unwrap_err().contains("too large"));
    }
}
