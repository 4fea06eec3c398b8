//! The KV cache: for each layer and each key and value head, all its pages in one region.
//!
//! Keys and values are 16-bit floats: half the memory, and half the traffic, of 32 bits. What that costs in quality is
//! part of what `engine_keeps_the_quality_of_f32` measures. Memory is taken from the system as pages are first written.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::barrier::Lost;
use super::strips::{read, write};
use super::{Hyperparameters, LoadError};
use crate::compute::{PAGE_POSITIONS, PageId};
use crate::kernels::{HeadShape, StoreHead};
use crate::memory::Region;

/// The pages of every layer and head of a range.
pub(super) struct Cache {
    heads: Vec<RwLock<Region<u16>>>,
    kv_heads: usize,
}

/// One head of one layer, for writing.
pub(super) struct HeadPages<'a>(RwLockWriteGuard<'a, Region<u16>>);

impl Cache {
    pub(super) fn new(hyper: &Hyperparameters, layers: u32, pages: usize) -> Result<Self, LoadError> {
        let heads = hyper.kv_heads.saturating_mul(layers as usize);
        let length = hyper.head_shape().page_len().saturating_mul(pages);
        let region = |_| Region::zeroed(length).map(RwLock::new);
        let heads = (0..heads).map(region).collect::<Result<_, _>>();
        let heads =
            heads.map_err(|source| LoadError::Resources { what: "memory for the KV cache", source })?;
        Ok(Self { heads, kv_heads: hyper.kv_heads })
    }

    fn head(&self, layer: usize, head: usize) -> Result<&RwLock<Region<u16>>, Lost> {
        self.heads.get(layer * self.kv_heads + head).ok_or(Lost)
    }

    pub(super) fn write(&self, layer: usize, head: usize) -> Result<HeadPages<'_>, Lost> {
        write(self.head(layer, head)?).map(HeadPages)
    }

    pub(super) fn read(&self, layer: usize, head: usize) -> Result<RwLockReadGuard<'_, Region<u16>>, Lost> {
        read(self.head(layer, head)?)
    }
}

impl HeadPages<'_> {
    /// The kernel that stores a key and a value at a position of the sequence with these pages.
    pub(super) fn store<'a>(
        &'a mut self,
        shape: HeadShape,
        table: &[PageId],
        position: usize,
        key: &'a [f32],
        value: &'a [f32],
    ) -> StoreHead<'a> {
        let length = shape.page_len();
        let start = table[position / PAGE_POSITIONS].0 as usize * length;
        let page = &mut self.0[start..start + length];
        StoreHead { shape, page, slot: position % PAGE_POSITIONS, key, value }
    }
}
