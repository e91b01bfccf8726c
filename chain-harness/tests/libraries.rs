//! The library crates as somebody else would have them: what a package of each contains, what its manifest says, and which Rust
//! it asks for. They are used by a program of their own in `examples/forwarder`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const LIBRARIES: [&str; 5] = ["proxy-values", "proxy-core", "proxy-conn", "proxy-route", "proxy-upstream"];

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
