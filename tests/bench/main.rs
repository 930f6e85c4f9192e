//! Measures Siar beside the bare `send()` loop and an ordinary server, in one run on the same work, and says
//! whether the targets are met. Machines differ and are noisy: only the ratios of one run mean something.
//!
//! `cargo run --release -p tests --bin bench`, with `--small` for a quick look; `GATEWAY_BIN` names another gateway.

mod access;
mod bare;
mod client;
mod measure;
mod operator;
mod ordinary;
mod plan;
mod report;
mod revoke;
mod round;
mod rows;
mod seen;
mod server;
mod tokens;
mod topics;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Fewer streams and one round: whether the figures come out, not what they are.
    #[arg(long)]
    small: bool,
    /// Only one part.
    #[arg(long)]
    only: Option<plan::Only>,
    /// Also writes the figures there.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    ServeBare {
        #[arg(long)]
        threads: usize,
        #[arg(long)]
        ready_file: PathBuf,
    },
    #[command(hide = true)]
    ServeOrdinary {
        #[arg(long)]
        ready_file: PathBuf,
    },
    #[command(hide = true)]
    Client(client::Load),
    #[command(hide = true)]
    Bound {
        #[arg(last = true)]
        words: Vec<std::ffi::OsString>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        None => {
            server::allow_files()?;
            server::build()?;
            let plan = if arguments.small {
                plan::Plan::small()
            } else {
                plan::Plan::full()
            };
            let rows = plan.run(arguments.only)?;
            report::print(&rows);
            if let Some(path) = arguments.json {
                std::fs::write(path, report::json(&rows)?)?;
            }
            Ok(())
        }
        Some(Part::ServeBare {
            threads,
            ready_file,
        }) => {
            bare::serve(&listen(&ready_file)?, threads);
            Ok(())
        }
        Some(Part::ServeOrdinary { ready_file }) => {
            let listener = listen(&ready_file)?;
            listener.set_nonblocking(true)?;
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(async {
                ordinary::serve(tokio::net::TcpListener::from_std(listener)?).await;
                anyhow::Ok(())
            })
        }
        Some(Part::Bound { words }) => server::become_program(&words),
        Some(Part::Client(load)) => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(client::run(load)),
    }
}

/// Listens and says where. Send buffers are the kernel's own, larger than those of Siar: to the advantage of
/// the servers that it is compared with.
fn listen(ready_file: &Path) -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    let listener = TcpListener::from(socket);
    let bound = serde_json::json!({ "public": listener.local_addr()? });
    std::fs::write(ready_file, bound.to_string())?;
    Ok(listener)
}
