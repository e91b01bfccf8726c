//! The other shape that the product could have: one multi-thread runtime, whose workers steal tasks from each other,
//! instead of a runtime for each worker. The same accept loop and the same life of a connection, for comparison only.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use proxy_bin::config::Config;
use proxy_bin::logging::Logs;
use proxy_conn::Tracker;
use proxy_core::listen::{ListenOptions, bind};
use proxy_core::process::pipes;
use proxy_core::{Resolver, TcpDialer, TcpListener};
use proxy_dataplane::descriptors;
use proxy_dataplane::generation::Generation;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs a configuration, for ever.
pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let (logs, _end) = Logs::start(&config.log)?;
    let workers = config.settings.workers.get() as usize;
    let descriptors = descriptors::raise_limit();
    pipes::at_most(descriptors::pipes(descriptors));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let resolver = Resolver::system(
        runtime.handle().clone(),
        descriptors::look_ups(descriptors),
        config.settings.resolver,
    );
    let dialer = TcpDialer::default();
    let proxy = Arc::new(Generation::new(
        config.settings,
        Tracker::new(workers, logs.access_log()),
        dialer,
        resolver,
    ));
    let _inside = runtime.enter();
    let (tasks, loops) = (TaskTracker::new(), TaskTracker::new());
    for at in &proxy.listeners {
        let options = ListenOptions::default()
            .backlog(at.config.backlog.get())
            .keep_alive(proxy.settings.keep_alive)
            .congestion(at.config.congestion);
        let listener = TcpListener::from_std(bind(at.config.bind, at.config.port, &options)?)
            .with_context(|| at.label.to_string())?;
        let accepting =
            Arc::clone(&proxy).accept(Arc::clone(at), 0, listener, tasks.clone(), CancellationToken::new());
        drop(loops.spawn(accepting));
    }
    loops.close();
    runtime.block_on(loops.wait());
    Ok(())
}
