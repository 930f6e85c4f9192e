//! How soon what kubectl changes is in force, and what a thousand Channels cost the operator: on a real API server.

mod change;
mod size;

use crate::measure::quantile;
use crate::rows::{Row, Target};
use anyhow::Result;
use change::{Took, cycles};
use size::{Size, grow};
use tests::cluster::Cluster;
use tests::fleet::{Fleet, Setup as FleetSetup};
use tests::operator::Operator as Process;
use tests::redis::Redis;
use tokio::runtime::Builder;

/// A change must be in force within so many milliseconds.
const PROMISE: f64 = 2000.0;
/// Bytes of a mebibyte.
const MIB: f64 = 1024.0 * 1024.0;

/// The sizes of this part.
pub struct Operator {
    /// Each of four changes.
    pub cycles: usize,
    /// Each with twenty Channels, one of them with client TLS.
    pub namespaces: usize,
    /// Changes of one Channel among all those.
    pub changes: usize,
}

/// A cluster, a fleet and its operator.
struct World {
    fleet: Fleet,
    operator: Process,
    cluster: Cluster,
    _redis: Redis,
}

impl World {
    async fn of(gateways: u32) -> Self {
        let (redis, cluster) = (Redis::start().await, Cluster::start().await);
        cluster.install_crd().await;
        let fleet = FleetSetup::new("default")
            .redis(&redis.url())
            .replicas(gateways);
        let fleet = fleet.start(&cluster).await;
        let operator = Process::start(&cluster).await;
        fleet.until_ready(gateways as usize).await;
        Self {
            fleet,
            operator,
            cluster,
            _redis: redis,
        }
    }
}

impl Operator {
    pub fn rows(&self) -> Result<Vec<Row>> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let took = runtime.block_on(async {
            let world = World::of(2).await;
            cycles(&world, self.cycles).await
        })?;
        let mut rows = took_rows(&took);
        let size = runtime.block_on(async {
            let mut world = World::of(1).await;
            grow(&mut world, self.namespaces, self.changes).await
        })?;
        rows.extend(size_rows(&size));
        Ok(rows)
    }
}

/// Half of them were faster than the first row, and all but one in a hundred than the second.
fn quantiles(what: &str, millis: &[f64], target: Option<Target>) -> [Row; 2] {
    let mut sorted: Vec<u64> = millis.iter().map(|&millis| (millis * 1e3) as u64).collect();
    sorted.sort_unstable();
    let row = |name: &str, part| {
        let name = format!("operator: {what}, {name}");
        Row::new(name, "ms", vec![quantile(&sorted, part) as f64 / 1e3])
    };
    let (half, most) = (row("p50", 0.5), row("p99", 0.99));
    [
        half,
        match target {
            Some(target) => most.target(target),
            None => most,
        },
    ]
}

fn took_rows(took: &Took) -> Vec<Row> {
    let promised = Some(Target::AtMost(PROMISE));
    let all = [
        (
            "applied Channel served by two gateways",
            &took.served,
            promised,
        ),
        ("changed rule ends streams", &took.revoked, promised),
        ("rotated Secret in force", &took.rotated, promised),
        ("deleted Channel ends streams", &took.deleted, promised),
        ("from apply to Programmed=True", &took.programmed, None),
    ];
    let rows = all
        .into_iter()
        .flat_map(|(what, millis, target)| quantiles(what, millis, target));
    rows.collect()
}

fn size_rows(size: &Size) -> Vec<Row> {
    let channels = size.channels;
    let row = |what: &str, unit, values: Vec<f64>| {
        Row::new(
            format!("operator: {channels} Channels, {what}"),
            unit,
            values,
        )
    };
    let mebibytes = size.bytes as f64 / MIB;
    vec![
        row("memory, the most so far", "MiB", vec![mebibytes]).target(Target::AtMost(100.0)),
        row("all programmed after", "s", vec![size.programmed_seconds]),
        row("one change in force after", "ms", size.millis.clone())
            .target(Target::AlwaysAtMost(PROMISE)),
        row("writes to the API for one change", "", size.writes.clone()),
        row("Snapshot", "KiB", vec![size.packed as f64 / 1024.0]),
    ]
}
