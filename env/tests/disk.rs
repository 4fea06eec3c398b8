//! Small files on the machine's own disk.
#![expect(clippy::disallowed_methods, reason = "a test looks at real files")]

use std::os::unix::fs::PermissionsExt;

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;

#[test]
fn a_file_is_written_under_a_bare_name_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::env::set_current_dir(folder.path()).expect("a folder to work in");
    RealDisk.write_durably("state.backup".as_ref(), b"all of it").expect("a write");
    let path = folder.path().join("state.backup");
    assert_eq!(std::fs::read(&path).expect("the file"), b"all of it");
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}
