//! What the kernel lets one process have.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the bound on open files, connections among them, to what the process may have; tells it. Most systems start a
/// process with 1024 and permit far more, because of programs that count on small descriptors.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(limit.current.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_permits() {
        let raised = raise_open_files().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(raised, limit.maximum.unwrap_or(u64::MAX));
    }
}
