//! The library crates as somebody else would have them: what a package of each contains, what its manifest says, and which Rust
//! it asks for. They are used by a program of their own in `examples/forwarder`.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const LIBRARIES: [&str; 10] = [
    "proxy-values",
    "proxy-core",
    "proxy-conn",
    "proxy-route",
    "proxy-upstream",
    "proxy-tls",
    "proxy-acme",
    "proxy-http",
    "proxy-observe",
    "proxy-dataplane",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cargo(args: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(args).args(["--offline", "--locked"]).current_dir(workspace());
    let output = cargo.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {error}", args.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// What is built for the machines that this runs on, dependencies too.
fn metadata() -> Value {
    let args = ["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    serde_json::from_str(&cargo(&args)).unwrap()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

/// A Rust version, as it is compared.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn a_package_of_each_has_its_source_its_examples_its_readme_and_its_licences_and_nothing_else() {
    for library in LIBRARIES {
        let listed = cargo(&["package", "--list", "--allow-dirty", "-p", library]);
        let mut stray: Vec<_> = listed.lines().collect();
        for needed in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"] {
            assert!(stray.contains(&needed), "{library} has no {needed}");
        }
        assert!(stray.iter().any(|file| file.starts_with("examples/")), "{library} has no example");
        let made = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];
        stray.retain(|file| {
            let source = file.ends_with(".rs") && (file.starts_with("src/") || file.starts_with("examples/"));
            !(source || made.contains(file) || file.starts_with("LICENSE-") || *file == "README.md")
        });
        assert_eq!(stray, Vec::<&str>::new(), "{library}");
    }
}

#[test]
fn each_manifest_says_what_a_registry_shows() {
    let metadata = metadata();
    for library in LIBRARIES {
        let package = packages(&metadata).find(|package| package["name"] == library).unwrap();
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[key].is_string(), "{library} has no {key}");
        }
        for (key, most) in [("keywords", 5), ("categories", 5)] {
            let listed = package[key].as_array().unwrap().len();
            assert!((1..=most).contains(&listed), "{library} has {listed} {key}");
        }
        assert_eq!(package["metadata"]["docs"]["rs"]["all-features"], true, "{library}");
    }
}

/// The oldest Rust that is promised is one that every dependency builds with, and clippy checks this code by the same.
#[test]
fn no_dependency_wants_a_newer_rust_than_is_promised() {
    let metadata = metadata();
    let promised = packages(&metadata).find(|package| package["name"] == "proxy-core").unwrap();
    let promised = promised["rust_version"].as_str().unwrap();
    let clippy = std::fs::read_to_string(workspace().join("clippy.toml")).unwrap();
    assert!(
        clippy.contains(&format!("msrv = \"{promised}\"")),
        "clippy.toml has another msrv than {promised}"
    );
    let newer: Vec<_> = packages(&metadata)
        .filter(|package| {
            package["rust_version"].as_str().is_some_and(|own| version(own) > version(promised))
        })
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert_eq!(newer, Vec::<&str>::new(), "newer than Rust {promised}");
}

/// Words of our own for what the field calls a client, a peer, reported, reached: not in the sentence that a list of items shows.
const DIALECT: [&str; 9] = [
    "whoever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    " is told",
    " are told",
    " comes to",
    " came to",
];

#[test]
fn the_first_sentences_of_public_docs_are_in_the_fields_words() {
    let mut found = Vec::new();
    for library in LIBRARIES {
        for file in rust_files(&workspace().join(library).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (line, sentence) in public_first_sentences(&text) {
                let spoken = sentence.to_lowercase();
                if DIALECT.iter().any(|word| spoken.contains(word)) {
                    found.push(format!("{}:{line}: {sentence}", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    files.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// The first sentence of each doc comment that belongs to a `pub` item or field, and the line that it begins on.
fn public_first_sentences(text: &str) -> Vec<(usize, String)> {
    let mut sentences = Vec::new();
    let mut doc: Option<(usize, String)> = None;
    let mut in_attribute = false;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
        } else if let Some(words) = line.strip_prefix("///") {
            let (_, so_far) = doc.get_or_insert_with(|| (number + 1, String::new()));
            so_far.push_str(words);
        } else {
            let public = line.starts_with("pub ");
            sentences.extend(doc.take().filter(|_| public).map(|(at, text)| (at, first_sentence(&text))));
        }
    }
    sentences
}

fn first_sentence(text: &str) -> String {
    text.split_once(". ").map_or(text, |(first, _)| first).trim().to_owned()
}

#[test]
fn a_first_sentence_is_found_behind_attributes_and_only_of_what_is_public() {
    let text = "/// One. Two.\n#[must_use]\n#[cfg_attr(\n    feature\n)]\npub fn a() {}\n/// Three\n/// lines.\nfn b() {}\n/// Four,\n/// five\npub x: u8,\n";
    let expected = [(1, "One".to_owned()), (10, "Four, five".to_owned())];
    assert_eq!(public_first_sentences(text), expected);
}
