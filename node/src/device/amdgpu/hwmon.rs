//! The sensors of one card: hwmon numbers them as the driver likes, and their labels say what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use helixflow_model::Sensed;

use super::files;

/// The sensors' folder, and the files' prefix of each label: `junction` is `temp2` on one card.
pub(super) struct Hwmon {
    folder: PathBuf,
    prefixes: BTreeMap<String, String>,
}

impl Hwmon {
    /// The sensors of the card whose device's folder this is.
    pub(super) fn open(device: &Path) -> Option<Self> {
        let folders = RealDisk.list(&device.join("hwmon")).ok()?;
        let folder = folders
            .into_iter()
            .find(|folder| files::text(&folder.join("name")).is_ok_and(|name| name == "amdgpu"))?;
        let files = RealDisk.list(&folder).ok()?;
        let prefixes = files.iter().filter_map(|file| {
            let prefix = file.file_name()?.to_str()?.strip_suffix("_label")?;
            Some((files::text(file).ok()?, prefix.to_owned()))
        });
        Some(Self { prefixes: prefixes.collect(), folder })
    }

    /// One of the files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The number in a file, whose unit the kernel's document tells.
    pub(super) fn number(&self, name: &str) -> Sensed<i64> {
        files::number(&self.file(name))
    }

    /// The number in a file of the sensor with this label, for instance `input` or `crit`.
    pub(super) fn labelled(&self, label: &str, what: &str) -> Sensed<i64> {
        self.prefixes
            .get(label)
            .map_or(Sensed::Unsupported, |prefix| self.number(&format!("{prefix}_{what}")))
    }

    /// Whether there is a sensor with this label.
    pub(super) fn has(&self, label: &str) -> bool {
        self.prefixes.contains_key(label)
    }
}
