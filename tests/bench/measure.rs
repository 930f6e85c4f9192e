//! What the kernel says about a process: CPU time, memory, and what its sockets cost beside it.

use std::fs;

/// CPU time of all threads of a process so far, in nanoseconds.
pub fn cpu_nanos(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let one = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    tasks.flatten().filter_map(one).sum()
}

/// CPU time of the whole machine so far, in nanoseconds: all that was not idle.
pub fn machine_nanos() -> u64 {
    const TICK: u64 = 10_000_000;
    const IDLE: [usize; 2] = [3, 4];
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // The last two of the ten are guests, counted in the first already.
    let ticks = line.split_whitespace().skip(1).take(8).enumerate();
    let busy = ticks.filter(|(index, _)| !IDLE.contains(index));
    busy.filter_map(|(_, ticks)| ticks.parse::<u64>().ok())
        .sum::<u64>()
        * TICK
}

/// Proportional set size of a process in bytes: its own pages, and its part of shared ones.
pub fn pss_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    kilobytes(&text, "Pss:") * 1024
}

/// Slab of the whole kernel in bytes: where sockets and their buffers' heads live.
pub fn slab_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&text, "Slab:") * 1024
}

/// Pages in TCP buffers of the whole machine, in bytes.
pub fn sock_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:"));
    let mut words = line
        .unwrap_or_default()
        .split(' ')
        .skip_while(|word| *word != "mem");
    let pages: u64 = words
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// The middle one; of an even number the lower.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get((sorted.len().max(1) - 1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The value below which `part` of the sorted values lie.
pub fn quantile(sorted: &[u64], part: f64) -> u64 {
    let index = (sorted.len() as f64 * part) as usize;
    sorted
        .get(index.min(sorted.len().max(1) - 1))
        .copied()
        .unwrap_or(0)
}
