//! The proxy that leaks on purpose, as a process: what proves that the runner can fail.

use std::net::SocketAddr;
use std::time::Duration;

use chain_harness::leaky::{Leak, Leaky, LeakyOptions};
use chain_harness::{CommandTemplate, Contender};
use clap::Args;
use proxy_core::listen::{ListenOptions, TcpListener, bind};
use proxy_core::{BindAddr, Endpoint, TcpDialer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Code;

/// What the name of a contender starts with that is this program itself.
const LEAKY: &str = "leaky:";

#[derive(Debug, Args)]
pub(crate) struct LeakyProcess {
    /// The fault that is planted
    #[arg(value_parser = fault)]
    fault: Leak,
    /// Where it listens
    listen: SocketAddr,
    /// Where it takes connections
    target: SocketAddr,
    /// For a connection to the target
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    connect_ms: u64,
    /// For silence
    #[arg(long, value_name = "MS", default_value_t = 4000)]
    idle_ms: u64,
    /// For silence after one side has ended
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    half_closed_ms: u64,
}

/// A contender by its name: ours with a planted fault, or any other.
pub(crate) fn contender(name: &str) -> Result<Contender, String> {
    let Some(kind) = name.strip_prefix(LEAKY) else { return name.parse() };
    fault(kind)?;
    let program =
        std::env::current_exe().map_err(|error| format!("this program is not to be found: {error}"))?;
    let line = format!(
        "{} leaky {kind} {{listen}} {{target}} \
         --connect-ms {{connect_ms}} --idle-ms {{idle_ms}} --half-closed-ms {{half_closed_ms}}",
        program.display()
    );
    Ok(Contender::Command(CommandTemplate { name: name.to_owned(), line }))
}

fn fault(name: &str) -> Result<Leak, String> {
    let found = Leak::ALL.iter().find(|leak| kebab(leak) == name);
    let all = || Leak::ALL.iter().map(kebab).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| format!("there is no fault {name:?}, but {}", all()))
}

/// `EndsAtFirstFin` is `ends-at-first-fin`.
fn kebab(leak: &Leak) -> String {
    let mut name = String::new();
    for letter in format!("{leak:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

impl LeakyProcess {
    pub(crate) fn run(&self) -> Code {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| (crate::NOT_TOLD, error.to_string()))?;
        runtime.block_on(self.accept()).map_err(|error| (crate::NOT_TOLD, error))?;
        Ok(0)
    }

    async fn accept(&self) -> Result<(), String> {
        let options = ListenOptions::default();
        let listener = bind(BindAddr::Ip(self.listen.ip()), self.listen.port(), &options);
        let listener = TcpListener::from_std(listener.map_err(|error| error.to_string())?);
        let listener = listener.map_err(|error| error.to_string())?;
        let options = LeakyOptions {
            target: Endpoint::Ip(self.target),
            connection_timeout: Duration::from_millis(self.connect_ms),
            inactivity_timeout: Duration::from_millis(self.idle_ms),
            half_closed_timeout: Duration::from_millis(self.half_closed_ms),
            leak: self.fault,
        };
        Leaky::new(options, TcpDialer::default())
            .accept(listener, TaskTracker::new(), CancellationToken::new())
            .await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name() {
        assert_eq!(fault("ends-at-first-fin"), Ok(Leak::EndsAtFirstFin));
        for leak in Leak::ALL {
            assert_eq!(
                contender(&format!("leaky:{}", kebab(leak))).unwrap().name(),
                format!("leaky:{}", kebab(leak))
            );
        }
        assert!(contender("leaky:nothing").unwrap_err().contains("ends-at-first-fin"));
        assert_eq!(contender("haproxy"), Ok(Contender::Haproxy));
    }
}
