//! The workspace's sources as modules: what each defines, and which paths it names. What is compiled for tests alone is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Item, UseTree};

/// The names that lead to a module, the root's first.
pub(crate) type Name = Vec<String>;

/// A module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Its file, from the workspace's folder.
    pub(crate) file: PathBuf,
    /// What it defines itself.
    pub(crate) defines: BTreeSet<String>,
    /// What it imports: by which name, and the path that leads there.
    pub(crate) imports: Vec<(String, Vec<String>)>,
    /// The modules of which it imports everything.
    pub(crate) globs: Vec<Vec<String>>,
    /// Every path of two names or more that it names in its code.
    pub(crate) paths: Vec<Vec<String>>,
}

/// All modules that are compiled together: those of one library or one program.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) modules: BTreeMap<Name, Module>,
}

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The crates of the workspace: the folders that `members` names.
pub(crate) fn members() -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("members = ")).unwrap();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

impl Tree {
    /// The tree below a root such as `proxy-core/src/lib.rs`.
    pub(crate) fn rooted(root: &str) -> Self {
        let mut tree = Self::default();
        let folder = Path::new(root).parent().unwrap().to_path_buf();
        tree.read(vec!["crate".to_owned()], Path::new(root), &folder);
        tree
    }

    /// All trees of a crate: its library's and its programs'.
    pub(crate) fn of_crate(member: &str) -> Vec<Self> {
        let source = |file: &str| format!("{member}/src/{file}");
        let mut roots: Vec<String> = ["lib.rs", "main.rs"].map(source).to_vec();
        let programs = fs::read_dir(workspace().join(source("bin"))).into_iter().flatten();
        roots.extend(
            programs.map(|file| source(&format!("bin/{}", file.unwrap().file_name().to_str().unwrap()))),
        );
        roots.retain(|root| root.ends_with(".rs") && workspace().join(root).exists());
        roots.iter().map(|root| Self::rooted(root)).collect()
    }

    /// Reads a file; the modules that it declares are in `folder`.
    fn read(&mut self, name: Name, file: &Path, folder: &Path) {
        let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|why| panic!("{file:?}: {why}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|why| panic!("{file:?}: {why}"));
        self.take(name, file, folder, &parsed.items);
    }

    /// Takes in a module with these items, and those that it declares.
    pub(crate) fn take(&mut self, name: Name, file: &Path, folder: &Path, items: &[Item]) {
        let mut module = Module { file: file.to_path_buf(), ..Module::default() };
        for item in items {
            if let Item::Mod(declared) = item
                && !is_for_tests(&declared.attrs)
            {
                let word = declared.ident.to_string();
                let below = [name.clone(), vec![word.clone()]].concat();
                match &declared.content {
                    Some((_, items)) => self.take(below, file, &folder.join(&word), items),
                    None => self.read(below, &folder.join(format!("{word}.rs")), &folder.join(&word)),
                }
            }
            Reader(&mut module).visit_item(item);
        }
        self.modules.insert(name, module);
    }
}

pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        meta => meta.path().is_ident("test"),
    })
}

/// Reads what one module defines and names.
struct Reader<'m>(&'m mut Module);

impl Reader<'_> {
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let path = |word: &syn::Ident| [before, &[word.to_string()]].concat();
        match tree {
            UseTree::Path(below) => self.import(&below.tree, &path(&below.ident)),
            UseTree::Name(name) if name.ident == "self" => {
                self.0.imports.extend(before.last().map(|last| (last.clone(), before.to_vec())));
            }
            UseTree::Name(name) => self.0.imports.push((name.ident.to_string(), path(&name.ident))),
            UseTree::Rename(name) => self.0.imports.push((name.rename.to_string(), path(&name.ident))),
            UseTree::Glob(_) => self.0.globs.push(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
        }
    }

    fn defines(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return,
        };
        self.0.defines.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[syn::Attribute] = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            // Those that it declares are modules of their own.
            Item::Mod(_) => return,
            _ => &[],
        };
        if is_for_tests(attributes) {
            return;
        }
        self.defines(item);
        match item {
            Item::Use(item) => self.import(&item.tree, &[]),
            item => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if words.len() > 1 {
            self.0.paths.push(words);
        }
        syn::visit::visit_path(self, path);
    }

    /// What a macro is given has no shape yet: paths are what looks like one.
    fn visit_macro(&mut self, given: &'ast syn::Macro) {
        let text = given.tokens.to_string().replace(" :: ", "::");
        let is_of_a_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in text.split(|c| !is_of_a_path(c)).filter(|word| word.contains("::")) {
            let words = word.split("::").filter(|word| !word.is_empty()).map(str::to_owned);
            self.0.paths.push(words.collect());
        }
        syn::visit::visit_macro(self, given);
    }
}
