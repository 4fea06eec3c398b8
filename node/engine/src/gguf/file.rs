//! A whole GGUF file: header, metadata, tensor directory, and the bytes of each tensor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::cursor::Cursor;
use super::metadata::{Metadata, MetadataIndex};
use super::{GgufError, TensorInfo, TensorType};
use crate::memory::MappedFile;

/// Most metadata keys that are read: real files have fewer than a hundred.
const MAX_KEYS: u64 = 65_536;
/// Most tensors that are read: the largest known models have a few thousand.
const MAX_TENSORS: u64 = 65_536;
/// Longest tensor name; ggml allows 64.
const MAX_NAME_BYTES: usize = 256;
/// Most dimensions of a tensor, as in ggml.
const MAX_DIMENSIONS: u32 = 4;
/// Alignment of tensors where the file names none.
const DEFAULT_ALIGNMENT: usize = 32;
/// The largest alignment that is believed.
const MAX_ALIGNMENT: u64 = 1 << 20;

enum Backing {
    Mapped(MappedFile),
    Owned(Vec<u8>),
}

impl Backing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file.bytes(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A GGUF file whose header has been read and checked.
pub struct GgufFile {
    backing: Backing,
    metadata: MetadataIndex,
    metadata_bytes: Range<usize>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl GgufFile {
    /// Maps the file and reads its header. The file must not be changed while it is open.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let map = MappedFile::open(path).map_err(|source| GgufError::Io { path: path.to_owned(), source })?;
        Self::parse(Backing::Mapped(map))
    }

    /// Reads the header of a file held in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::parse(Backing::Owned(bytes))
    }

    fn parse(backing: Backing) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(backing.bytes());
        check_magic(&mut cursor)?;
        let tensor_count = cursor.count("tensors", MAX_TENSORS)?;
        let keys = cursor.count("metadata keys", MAX_KEYS)?;
        let metadata_start = cursor.offset();
        let metadata = MetadataIndex::read(&mut cursor, keys)?;
        let metadata_bytes = metadata_start..cursor.offset();
        let alignment = alignment(metadata.view(backing.bytes()))?;
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let (name, info) = read_tensor(&mut cursor, alignment)?;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(GgufError::Duplicate { name });
            }
        }
        place_tensors(&mut tensors, cursor.offset(), alignment, backing.bytes().len())?;
        Ok(Self { backing, metadata, metadata_bytes, tensors })
    }

    /// The metadata.
    pub fn metadata(&self) -> Metadata<'_> {
        self.metadata.view(self.backing.bytes())
    }

    /// The metadata as it stands in the file, and the number of its keys.
    pub(super) fn raw_metadata(&self) -> (&[u8], usize) {
        let bytes = self.backing.bytes().get(self.metadata_bytes.clone()).unwrap_or_default();
        (bytes, self.metadata().keys().count())
    }

    /// Every tensor, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// A tensor's directory entry, or `None`.
    pub fn find_tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// A tensor's directory entry and its bytes.
    pub fn tensor(&self, name: &str) -> Result<(&TensorInfo, &[u8]), GgufError> {
        let missing = || GgufError::MissingTensor { tensor: name.to_owned() };
        let info = self.tensors.get(name).ok_or_else(missing)?;
        Ok((info, self.backing.bytes().get(info.range.clone()).unwrap_or_default()))
    }
}

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.backing.bytes().len();
        f.debug_struct("GgufFile").field("bytes", &bytes).field("tensors", &self.tensors.len()).finish()
    }
}

fn check_magic(cursor: &mut Cursor<'_>) -> Result<(), GgufError> {
    let magic = cursor.array("the magic number")?;
    if &magic != b"GGUF" {
        return Err(GgufError::NotGguf(magic));
    }
    match cursor.u32("the version")? {
        2 | 3 => Ok(()),
        other => Err(GgufError::UnsupportedVersion(other)),
    }
}

fn alignment(metadata: Metadata<'_>) -> Result<usize, GgufError> {
    if !metadata.contains("general.alignment") {
        return Ok(DEFAULT_ALIGNMENT);
    }
    let alignment = metadata.unsigned("general.alignment")?;
    match usize::try_from(alignment) {
        Ok(small) if small.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(small),
        _ => Err(GgufError::Corrupt { what: "general.alignment" }),
    }
}

/// Reads a directory entry; its range is still relative to the data section.
fn read_tensor(cursor: &mut Cursor<'_>, alignment: usize) -> Result<(String, TensorInfo), GgufError> {
    const WHAT: &str = "the tensor directory";
    let name = cursor.name("a tensor name", MAX_NAME_BYTES)?.to_owned();
    let count = cursor.u32(WHAT)?;
    if count > MAX_DIMENSIONS {
        return Err(GgufError::BadTensor { tensor: name, reason: "it has more than four dimensions" });
    }
    let mut dimensions = Vec::new();
    for _ in 0..count {
        dimensions.push(cursor.u64(WHAT)?);
    }
    let kind = TensorType::from_id(cursor.u32(WHAT)?)
        .map_err(|type_name| GgufError::UnsupportedTensorType { tensor: name.clone(), type_name })?;
    let offset = cursor.u64(WHAT)?;
    match extent(kind, &dimensions, offset, alignment) {
        Ok(info) => Ok((name, info)),
        Err(reason) => Err(GgufError::BadTensor { tensor: name, reason }),
    }
}

fn extent(
    kind: TensorType,
    dimensions: &[u64],
    offset: u64,
    alignment: usize,
) -> Result<TensorInfo, &'static str> {
    const TOO_LARGE: &str = "its size overflows";
    let sizes: Result<Vec<usize>, _> = dimensions.iter().map(|&size| usize::try_from(size)).collect();
    let sizes = sizes.map_err(|_| TOO_LARGE)?;
    let columns = sizes.first().copied().unwrap_or(1);
    let row = kind.row_bytes(columns).ok_or("its rows are not whole blocks")?;
    let rows = sizes.iter().skip(1).try_fold(1_usize, |rows, &size| rows.checked_mul(size));
    let bytes = rows.and_then(|rows| rows.checked_mul(row)).ok_or(TOO_LARGE)?;
    let start = usize::try_from(offset).map_err(|_| TOO_LARGE)?;
    if !start.is_multiple_of(alignment) {
        return Err("its data is not aligned");
    }
    let end = start.checked_add(bytes).ok_or(TOO_LARGE)?;
    Ok(TensorInfo { kind, dimensions: sizes, range: start..end })
}

/// Moves the ranges to their place in the file and checks that they lie inside it.
fn place_tensors(
    tensors: &mut BTreeMap<String, TensorInfo>,
    header_end: usize,
    alignment: usize,
    file_bytes: usize,
) -> Result<(), GgufError> {
    let truncated = || GgufError::Truncated { what: "the tensor data", offset: file_bytes as u64 };
    let data = header_end.checked_next_multiple_of(alignment).ok_or_else(truncated)?;
    for info in tensors.values_mut() {
        let end = info.range.end.checked_add(data).filter(|&end| end <= file_bytes);
        info.range = info.range.start + data..end.ok_or_else(truncated)?;
    }
    Ok(())
}
