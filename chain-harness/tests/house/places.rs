//! Where something is done that may be done in few places: calls of a name, and what is dropped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

use crate::sources::{Tree, is_for_tests, workspace};

/// What is looked for in a file.
#[derive(Default)]
struct Finder<'n> {
    names: &'n [&'n str],
    called: bool,
    drops: Vec<String>,
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if of.is_some_and(|name| name.ident == "Drop")
            && let syn::Type::Path(of) = &*item.self_ty
        {
            self.drops.extend(of.path.segments.last().map(|name| name.ident.to_string()));
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.called |= self.names.iter().any(|name| call.method == name);
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let path =
            path.path.segments.iter().map(|name| name.ident.to_string()).collect::<Vec<_>>().join("::");
        self.called |= self.names.iter().any(|name| path.ends_with(&format!("::{name}")));
    }
}

fn find<'n>(text: &str, names: &'n [&'n str]) -> Finder<'n> {
    let mut finder = Finder { names, ..Finder::default() };
    finder.visit_file(&syn::parse_file(text).unwrap());
    finder
}

/// The files of a crate, without those that are for tests.
fn files(member: &str) -> BTreeSet<PathBuf> {
    Tree::of_crate(member)
        .into_iter()
        .flat_map(|tree| tree.modules.into_values().map(|module| module.file))
        .collect()
}

fn text(file: &Path) -> String {
    fs::read_to_string(workspace().join(file)).unwrap()
}

/// The files of these crates in which one of these is called, as a method or by its path.
pub(crate) fn callers(members: &[&str], names: &[&str]) -> Vec<String> {
    let all = members.iter().flat_map(|member| files(member));
    let calling = all.filter(|file| find(&text(file), names).called);
    calling.map(|file| file.display().to_string()).collect()
}

/// The types of a crate that do something when they are dropped.
pub(crate) fn dropped(member: &str) -> Vec<String> {
    let of = |file: &PathBuf| find(&text(file), &[]).drops;
    files(member).iter().flat_map(of).collect()
}

#[test]
fn a_call_in_the_wrong_place_is_found_and_one_in_a_test_is_none() {
    let dials = "fn f() { tokio::net::TcpStream::connect(addr); }";
    let method = "fn f() { socket.connect(addr)?; }";
    let tests = "#[cfg(test)] mod tests { fn f() { TcpStream::connect(addr); } }";
    assert!(find(dials, &["connect"]).called && find(method, &["connect"]).called);
    assert!(!find(tests, &["connect"]).called && !find("fn connect() {}", &["connect"]).called);
    assert_eq!(find("impl Drop for Guard<'_> { fn drop(&mut self) {} }", &[]).drops, ["Guard"]);
}
