//! What is not there now, and may be by the time of a start: warnings, each with its place in the file.

use std::os::unix::fs::FileTypeExt as _;

use proxy_core::BindAddr;
use proxy_core::listen::is_here;

use super::document::Document;
use super::file::ConfigFile;
use super::finding::{Finding, Findings, Severity, Source};
use super::{AccessTo, Config, listener, recover, route};
use crate::admin::{AdminError, fit};
use crate::logging::UNREAD;
use crate::told::{NO_SUCH_BIND, NO_SUCH_LISTEN};

/// What is waited for, and where it is written.
enum Awaited {
    /// The admin socket's folder.
    Folder(String),
    /// The admin API's address.
    Listen(String),
    /// A reader of the log.
    Reader(String),
    /// The address of the listener of this number.
    Bind(usize, String),
}

impl Config {
    /// What is not there yet, and without which a start would fail: whoever starts it may make it, or it is started elsewhere.
    /// Nothing is opened, and no port is taken.
    #[must_use]
    pub fn awaited_at_a_start(&self) -> Findings {
        let awaited = self.awaited();
        // Where it is written, for which the text has to be read again.
        let text = &self.origin.text;
        let recovered = (!awaited.is_empty()).then(|| recover::read(text, &mut Vec::new())).flatten();
        let finding =
            |awaited| Some(self.told(awaited, recovered.as_ref().map(|read| (&read.file, &read.document))?));
        let findings = awaited.into_iter().filter_map(finding).collect();
        Source::of(&self.origin).findings(Severity::Warning, findings)
    }

    fn awaited(&self) -> Vec<Awaited> {
        let folder = self.admin.as_ref().and_then(fit::awaited).map(Awaited::Folder);
        let listen = self.admin.as_ref().and_then(|admin| {
            let addr = admin.listen?.socket_addr();
            let source = is_here(addr.ip(), addr.port()).err()?.source;
            Some(Awaited::Listen(AdminError::Address { addr, source }.to_string()))
        });
        let mut awaited: Vec<_> = folder.into_iter().chain(listen).chain(self.reader()).collect();
        for (number, at) in self.settings.listeners.iter().enumerate() {
            let BindAddr::Ip(ip) = at.bind else { continue };
            let error = is_here(ip, at.port).err();
            awaited.extend(error.map(|error| Awaited::Bind(number, error.to_string())));
        }
        awaited
    }

    /// A pipe that is the log. Whether somebody reads from it is only to be known by opening it, which a reader would notice.
    fn reader(&self) -> Option<Awaited> {
        let AccessTo::File(path) = &self.log.access else { return None };
        let is_pipe = std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo());
        is_pipe.then(|| Awaited::Reader(format!("the log file {} is a pipe", path.display())))
    }

    fn told(&self, awaited: Awaited, (file, document): (&ConfigFile, &Document<'_>)) -> Finding {
        let root = document.root();
        match awaited {
            Awaited::Folder(title) => Finding::new(root.key("admin").key("socket").span(), title),
            Awaited::Listen(title) => {
                Finding::new(root.key("admin").key("listen").span(), title).help(NO_SUCH_LISTEN)
            }
            Awaited::Reader(title) => Finding::new(root.key("log").key("access").span(), title)
                .label(format!("a start fails where {UNREAD}")),
            Awaited::Bind(number, title) => {
                let table = self.settings.listeners.get(number).and_then(|at| {
                    let table = listener::table_of(file, at)?;
                    let binds = &file.listeners.get(table)?.bind;
                    Some((
                        table,
                        binds.iter().position(|bind| listener::canonical(*bind) == at.bind).unwrap_or(0),
                    ))
                });
                let place = match table {
                    Some((table, bind)) => listener::place(document, table).key("bind").index(bind),
                    None => route::place(document, 0).key("match").key("ports"),
                };
                Finding::new(place.span(), title).help(NO_SUCH_BIND)
            }
        }
    }
}
