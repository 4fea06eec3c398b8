//! Single values in the kernel's files, and what an error of a file says of its sensor.

use std::io;
use std::path::Path;

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use helixflow_model::Sensed;
use rustix::io::Errno;

/// A file's text, without the line's end.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let bytes = RealDisk.read(path)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// What a file says, turned into a value; text that makes none is an error of the sensor.
pub(super) fn sensed<T>(path: &Path, value: impl FnOnce(&str) -> Option<T>) -> Sensed<T> {
    match text(path) {
        Ok(text) => value(&text).map_or(Sensed::Missing, Sensed::Live),
        Err(error) if is_unsupported(&error) => Sensed::Unsupported,
        Err(_) => Sensed::Missing,
    }
}

/// A whole number.
pub(super) fn number(path: &Path) -> Sensed<i64> {
    sensed(path, |text| text.parse().ok())
}

/// Whether the board has no such thing: there is no file, or the driver says that it does not know the question.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
}
