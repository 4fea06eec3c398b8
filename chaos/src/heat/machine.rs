//! The machine by what matters for wall time, never by its name.

use std::path::Path;

use helixflow_env::Disk;
use serde::Serialize;

/// Kibibytes in a gibibyte.
const KIB_PER_GIB: f64 = (1 << 20) as f64;

/// Where a study ran. What the machine does not tell is empty or 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    #[must_use]
    pub fn here(disk: &dyn Disk) -> Self {
        let read = |path: &str| {
            let bytes = disk.read(Path::new(path)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).trim().to_owned()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: f64 = memory.trim_end_matches("kB").trim().parse().unwrap_or_default();
        let load = read("/proc/loadavg");
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib / KIB_PER_GIB * 10.0).round() / 10.0,
            kernel: read("/proc/sys/kernel/osrelease"),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        }
    }
}

/// The first value of that name in lines of `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_it_is() {
        let machine = Machine::here(&helixflow_env::disk::RealDisk);
        assert!(machine.cores > 0 && machine.memory_gib > 0.0 && !machine.kernel.is_empty());
    }
}
