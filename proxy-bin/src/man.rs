//! The manual pages, made from the command line's own description: they cannot fall behind it.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

/// The first section of the manual: commands.
const SECTION: &str = "1";

/// The pages of a command: its own, and one for each of its subcommands, by file name.
///
/// # Errors
/// None in practice: they are written to memory.
pub fn pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    // Full names: `smartproxy run`, not `run`.
    command.build();
    let subcommands: Vec<_> = command.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    let mut all = vec![page(&command, command.get_name())?];
    for subcommand in subcommands {
        let name = format!("{}-{}", command.get_name(), subcommand.get_name());
        all.push(page(&subcommand, &name)?);
    }
    Ok(all)
}

fn page(command: &Command, name: &str) -> io::Result<(String, Vec<u8>)> {
    let mut page = Vec::new();
    // A page's name has no spaces: `smartproxy-run`.
    Man::new(command.clone()).title(name.to_uppercase()).section(SECTION).render(&mut page)?;
    Ok((format!("{name}.{SECTION}"), page))
}

/// Writes every page into a folder, which is made where there is none; where each was written.
///
/// # Errors
/// What the system says, with the path.
pub fn write(command: Command, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let about = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    std::fs::create_dir_all(folder).map_err(about(folder))?;
    let written = pages(command)?.into_iter().map(|(name, page)| {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(about(&path))?;
        Ok(path)
    });
    written.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let command = proxy_cli::command();
        let written = write(command.clone(), &folder.path().join("man1")).unwrap();
        assert_eq!(written.len(), 1 + command.get_subcommands().filter(|one| !one.is_hide_set()).count());
        let read = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
        let main = read("smartproxy.1");
        assert!(main.contains(".TH SMARTPROXY 1"), "{main}");
        for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = subcommand.get_name();
            let escaped = name.replace('-', "\\-");
            assert!(main.contains(&format!("smartproxy\\-{escaped}(1)")), "{name}: {main}");
            let page = read(&format!("smartproxy-{name}.1"));
            let (title, about) =
                (format!(".TH SMARTPROXY-{} 1", name.to_uppercase()), subcommand.get_about());
            assert!(page.contains(&title) && about.is_some(), "{page}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = write(proxy_cli::command(), Path::new("/dev/null/man1")).unwrap_err();
        assert!(error.to_string().starts_with("/dev/null/man1: "), "{error}");
    }
}
