//! Which file uses which, and the circles among them.
//!
//! ```text
//! path in a module ─► module that it begins at ─► down its names ─► through what is imported there ─► the file that defines it
//! ```
//! An arrow goes to the file that defines what is used, whichever module it is imported through.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::sources::{Module, Name, Tree};

/// Arrows between files: each with those whose definitions it uses.
#[derive(Debug, Default, Clone)]
pub(crate) struct Graph {
    pub(crate) arrows: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// The module that each file is.
    names: BTreeMap<PathBuf, Name>,
}

/// Imports that lead to imports, at most.
const DEEPEST: usize = 16;

impl Tree {
    /// The file that defines what `path` means in `module`; None where that is in no file of this tree.
    pub(crate) fn definer(&self, module: &[String], path: &[String], depth: usize) -> Option<&Module> {
        let (first, rest) = path.split_first().filter(|_| depth < DEEPEST)?;
        match first.as_str() {
            "crate" => self.below(&module[..1], rest, depth),
            "self" => self.below(module, rest, depth),
            "super" => {
                let mut above = module.len() - 1;
                let ups = rest.iter().take_while(|word| *word == "super").count();
                above = above.saturating_sub(ups).max(1);
                self.below(&module[..above], &rest[ups..], depth)
            }
            _ if self.modules.contains_key(&[module, &path[..1]].concat()) => self.below(module, path, depth),
            word => match self.modules.get(module)?.imports.iter().find(|(name, origin)| {
                // What is imported by its own name alone is another crate.
                name == word && *origin != path[..1]
            }) {
                Some((_, origin)) => self.definer(module, &[origin, rest].concat(), depth + 1),
                None => self.below(&self.imported_whole(module, word)?, path, depth + 1),
            },
        }
    }

    /// The module of which everything is imported, and which has this.
    fn imported_whole(&self, module: &[String], word: &str) -> Option<Name> {
        let globs = self.modules.get(module)?.globs.iter();
        globs.filter_map(|glob| self.module_at(module, glob)).find(|name| {
            let has = |there: &Module| {
                there.defines.contains(word) || there.imports.iter().any(|(name, _)| name == word)
            };
            let below = [&name[..], &[word.to_owned()]].concat();
            self.modules.contains_key(&below) || self.modules.get(name).is_some_and(has)
        })
    }

    /// The module that a path in another one leads to, if it is one of this tree.
    fn module_at(&self, module: &[String], path: &[String]) -> Option<Name> {
        let mut name = module.to_vec();
        for word in path {
            match word.as_str() {
                "crate" => name.truncate(1),
                "self" => {}
                "super" => drop(name.pop()),
                word => name.push(word.to_owned()),
            }
        }
        self.modules.contains_key(&name).then_some(name)
    }

    /// The same of a path that begins at a module.
    fn below(&self, module: &[String], path: &[String], depth: usize) -> Option<&Module> {
        let here = self.modules.get(module)?;
        // A module alone is no definition: what is used of it says where it is.
        let (word, rest) = path.split_first()?;
        let below = [module, &path[..1]].concat();
        if self.modules.contains_key(&below) {
            return self.below(&below, rest, depth);
        }
        if here.defines.contains(word) {
            return Some(here);
        }
        if let Some((_, origin)) = here.imports.iter().find(|(name, _)| name == word) {
            return self.definer(module, &[origin, rest].concat(), depth + 1);
        }
        match self.imported_whole(module, word).filter(|_| depth < DEEPEST) {
            Some(there) => self.below(&there, path, depth + 1),
            None => Some(here),
        }
    }

    /// Its files and their arrows.
    pub(crate) fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        for (name, module) in &self.modules {
            // Of the modules in one file, the outermost is the file.
            let of_file = graph.names.entry(module.file.clone()).or_insert_with(|| name.clone());
            if name.len() < of_file.len() {
                of_file.clone_from(name);
            }
            let imported = module.imports.iter().map(|(_, path)| path);
            let used = imported.chain(&module.globs).chain(&module.paths);
            let files = used.filter_map(|path| Some(self.definer(name, path, 0)?.file.clone()));
            graph
                .arrows
                .entry(module.file.clone())
                .or_default()
                .extend(files.filter(|file| *file != module.file));
        }
        graph
    }
}

impl Graph {
    /// Sets of files that all use each other, directly or through others, and are no parent with children of its own.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let circles = self.tied(|_, _| true).into_iter();
        circles.filter(|circle| !self.is_a_family(circle)).collect()
    }

    /// Whether one of them is above all others, and they are tied only by what they use of those above themselves: a parent that
    /// is told as one thing, with its parts in files of their own.
    fn is_a_family(&self, circle: &BTreeSet<PathBuf>) -> bool {
        let has_a_head =
            circle.iter().any(|head| circle.iter().all(|file| file == head || self.is_above(head, file)));
        let within = |from: &PathBuf, to: &PathBuf| {
            circle.contains(from) && circle.contains(to) && !self.is_above(to, from)
        };
        has_a_head && self.tied(within).is_empty()
    }

    fn is_above(&self, above: &PathBuf, below: &PathBuf) -> bool {
        let [above, below] = [above, below].map(|file| self.names.get(file).map_or(&[][..], Vec::as_slice));
        above.len() < below.len() && below.starts_with(above)
    }

    /// Sets of two files or more that reach each other by the arrows that are followed.
    fn tied(&self, is_followed: impl Fn(&PathBuf, &PathBuf) -> bool) -> Vec<BTreeSet<PathBuf>> {
        let reached = |from: &PathBuf| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(file) = next.pop() {
                for to in self.arrows.get(&file).into_iter().flatten() {
                    if is_followed(&file, to) && seen.insert(to.clone()) {
                        next.push(to.clone());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&PathBuf, BTreeSet<PathBuf>> =
            self.arrows.keys().map(|file| (file, reached(file))).collect();
        let mut sets = BTreeSet::new();
        for (file, reaches) in &reach {
            let back = |other: &&PathBuf| reach.get(other).is_some_and(|reaches| reaches.contains(*file));
            let tied: BTreeSet<PathBuf> = reaches.iter().filter(back).cloned().collect();
            if tied.len() > 1 {
                sets.insert(tied);
            }
        }
        sets.into_iter().collect()
    }
}
