//! Memory that the engine takes from the operating system: a file mapped for reading, and large buffers.
//!
//! Large buffers ask for pages of 2 MiB, which the kernel grants where it can (`madvise`): decoding reads every weight
//! once per token, and address translation with 4 KiB pages costs a tenth of the time. Left out: locking memory, NUMA.
#![expect(unsafe_code, reason = "mapping a file, and viewing zeroed bytes as numbers, have no safe form")]

use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use memmap2::{Mmap, MmapMut};

/// The size of a large page on x86-64, and the alignment of buffers that want them.
const LARGE_PAGE: usize = 2 << 20;

/// A file mapped for reading.
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "weights are mapped, which the disk seam cannot express"
        )]
        let file = std::fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        // SAFETY: the map is private and read-only. Model files are put in place by rename and never written again,
        // which is the condition for viewing them as unchanging bytes; `GgufFile::open` passes it on to its callers.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Numbers for which every pattern of bits, zero among them, is a value.
///
/// # Safety
/// Implementers have no padding, no invalid patterns and an alignment of at most 64.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: an unsigned integer has neither padding nor invalid patterns.
unsafe impl Plain for u8 {}
// SAFETY: an unsigned integer has neither padding nor invalid patterns.
unsafe impl Plain for u16 {}

/// A zeroed buffer in pages of its own, of 2 MiB where the kernel grants them. Untouched pages cost no memory.
pub(crate) struct Region<T> {
    map: MmapMut,
    /// Bytes between the map's start and the aligned first element.
    offset: usize,
    length: usize,
    element: PhantomData<T>,
}

impl<T: Plain> Region<T> {
    /// `length` zeros, or the error of the operating system when it has not the memory.
    pub(crate) fn zeroed(length: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let bytes = length.checked_mul(size_of::<T>()).ok_or_else(too_large)?;
        let spare = if bytes < LARGE_PAGE { 64 } else { LARGE_PAGE };
        let map = MmapMut::map_anon(bytes.checked_add(spare).ok_or_else(too_large)?)?;
        let offset = map.as_ptr().align_offset(spare);
        #[cfg(target_os = "linux")]
        if bytes >= LARGE_PAGE {
            // Only advice: without it the same memory comes in 4 KiB pages, and works more slowly.
            drop(map.advise(memmap2::Advice::HugePage));
        }
        Ok(Self { map, offset, length, element: PhantomData })
    }
}

impl<T: Plain> Deref for Region<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `zeroed` mapped `length * size_of::<T>()` bytes behind `offset`, which is a multiple of 64 and so of
        // T's alignment; `Plain` says that any bytes are values; the borrow of `self` keeps the map.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(self.offset).cast(), self.length) }
    }
}

impl<T: Plain> DerefMut for Region<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the exclusive borrow of `self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(self.offset).cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_zeroed_aligned_and_writable() {
        for length in [0, 1, 1000, (3 << 20) + 7] {
            let mut region = Region::<u16>::zeroed(length).unwrap();
            assert_eq!(region.len(), length);
            assert!(region.iter().all(|&value| value == 0));
            assert!(region.as_ptr().addr().is_multiple_of(64));
            region.fill(7);
            assert!(region.iter().all(|&value| value == 7));
        }
    }

    #[test]
    fn a_region_that_overflows_is_an_error() {
        assert!(Region::<u16>::zeroed(usize::MAX).is_err());
        assert!(Region::<u8>::zeroed(usize::MAX).is_err());
    }

    #[test]
    fn a_folder_is_no_model_file() {
        assert!(MappedFile::open(Path::new("/")).is_err());
    }
}
