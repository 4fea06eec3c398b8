//! The machine by what matters for speed, never by its name, and how busy others keep it.
#![expect(clippy::disallowed_methods, reason = "it reads what the real machine says of itself")]

use std::fs::read_to_string;

use anyhow::{Context, Result};
use serde::Serialize;

/// Kibibytes in a gibibyte.
const KIB_PER_GIB: f64 = (1 << 20) as f64;

/// Where a benchmark ran.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The CPU's model.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// Memory.
    pub memory_gib: f64,
    /// The kernel's release.
    pub kernel: String,
    /// The load average of the minute before.
    pub load_before: f64,
}

impl Machine {
    /// This one, now.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub fn here() -> Result<Self> {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let memory = field("/proc/meminfo", "MemTotal").context("/proc/meminfo tells no total")?;
        let kib: f64 = memory.trim_end_matches("kB").trim().parse().context("the memory is a number")?;
        let load = read_to_string("/proc/loadavg")?;
        Ok(Self {
            cpu,
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: (kib / KIB_PER_GIB * 10.0).round() / 10.0,
            kernel: read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_before: load
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse()
                .context("the load is a number")?,
        })
    }
}

/// The first value of that name in a file of `name : value` lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_it_is() {
        let machine = Machine::here().unwrap();
        assert!(machine.cores > 0 && machine.memory_gib > 0.0 && !machine.kernel.is_empty());
    }
}
