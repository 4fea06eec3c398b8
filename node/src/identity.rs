//! The machine's uuid: drawn once, kept in the data folder, so that the cluster knows this node again.

use std::io;
use std::path::{Path, PathBuf};

use helixflow_env::Env;

/// An identity that cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk refused.
    #[error("cannot {action} {path}; check the disk's space and the folder's permissions")]
    Disk {
        /// `make`, `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} holds no uuid; restore it, or remove it and the node joins as a new one")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the uuid, or draws one and keeps it.
pub(crate) fn machine_uuid(env: &Env, data_dir: &Path) -> Result<String, IdentityError> {
    let refused = |action, path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Disk { action, path, source }
    };
    env.disk.create_dir_all(data_dir).map_err(refused("make", data_dir))?;
    let path = data_dir.join("machine-uuid");
    match env.disk.read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            if is_uuid(&text) { Ok(text) } else { Err(IdentityError::Damaged { path }) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let uuid = draw(env);
            env.disk.write_durably(&path, format!("{uuid}\n").as_bytes()).map_err(refused("write", &path))?;
            Ok(uuid)
        }
        Err(source) => Err(refused("read", &path)(source)),
    }
}

/// A random uuid of version 4 (RFC 9562, section 5.4).
fn draw(env: &Env) -> String {
    let random = (u128::from(env.random.next_u64()) << 64) | u128::from(env.random.next_u64());
    let version_and_variant = (random & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let digits = format!("{version_and_variant:032x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

fn is_uuid(text: &str) -> bool {
    let is_dash = |place| matches!(place, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| {
            if is_dash(place) { byte == b'-' } else { byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_drawn_once_and_kept() {
        let env = Env::simulated(1);
        let drawn = machine_uuid(&env, "/node".as_ref()).expect("a disk that works");
        assert!(is_uuid(&drawn) && drawn.get(14..15) == Some("4"), "{drawn}");
        assert_eq!(machine_uuid(&env, "/node".as_ref()).ok(), Some(drawn.clone()));
        assert_ne!(machine_uuid(&env, "/other".as_ref()).ok(), Some(drawn));
    }

    #[test]
    fn a_damaged_uuid_is_refused() {
        let env = Env::simulated(1);
        env.disk.write_durably("/machine-uuid".as_ref(), b"nonsense").expect("a disk that works");
        let message = machine_uuid(&env, "/".as_ref()).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.contains("remove it")));
    }
}
