//! Benches of the whole: SmartProxy beside other proxies, how cost grows, system calls, and instruction counts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "results go to stdout, progress to stderr")]

mod clock;
mod cores;
mod floor;
mod grow;
mod instructions;
mod load;
mod multi_thread;
mod namespace;
mod peers;
mod poller;
mod report;
mod routes;
mod slab;
mod syscalls;
mod tree;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Benches of SmartProxy as a whole; those of its parts: cargo bench -p benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the same load on SmartProxy, HAProxy, nginx and Envoy in turn, and compares them.
    Peers(peers::Options),
    /// Shows how cost grows with connections, routes, tracked entries and the size of messages.
    Grow(grow::Options),
    /// Shows what a hundred thousand names cost, beside maps of HAProxy's and of nginx's and another build of ours.
    Routes(routes::Options),
    /// Counts the system calls of each proxy, for a short connection and for a round trip.
    Syscalls(syscalls::Options),
    /// Counts the instructions of the hot parts, and fails where they have become more than the committed counts allow.
    Instructions(instructions::Options),
    /// Relays with next to no features: the floor of a proxy's cost. It is started by the others.
    Floor {
        /// Where it listens.
        #[arg(long)]
        from: SocketAddrV4,
        /// Where it connects to.
        #[arg(long)]
        to: SocketAddrV4,
        /// Threads.
        #[arg(long, default_value_t = 1)]
        workers: usize,
    },
    /// SmartProxy on one multi-thread runtime, to be compared with what it is. It is started by the others.
    MultiThread {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Peers(options) => peers::run(&options)?,
        Command::Grow(options) => grow::run(&options)?,
        Command::Routes(options) => routes::run(&options)?,
        Command::Syscalls(options) => syscalls::run(&options)?,
        Command::Instructions(options) => return instructions::run(&options),
        Command::Floor { from, to, workers } => {
            let floor = move || floor::Floor::new(from, to, workers > 1)?.run();
            let others: Vec<_> = (1..workers).map(|_| std::thread::spawn(floor)).collect();
            floor()?;
            others.into_iter().try_for_each(|other| other.join().unwrap_or(Ok(())))?;
        }
        Command::MultiThread { config } => multi_thread::run(&config)?,
    }
    Ok(ExitCode::SUCCESS)
}
