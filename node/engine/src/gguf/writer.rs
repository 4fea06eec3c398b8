//! Writes GGUF version 3: synthetic models for tests, and files requantized for the benchmark.

use super::{GgufFile, TensorType};

/// Alignment of tensor data, the format's default.
const ALIGNMENT: usize = 32;

/// Collects metadata and tensors, then lays them out as a file.
#[derive(Clone, Debug, Default)]
pub struct GgufWriter {
    keys: u64,
    metadata: Vec<u8>,
    tensors: u64,
    directory: Vec<u8>,
    data: Vec<u8>,
}

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all metadata of another file.
    pub fn metadata_of(&mut self, file: &GgufFile) -> &mut Self {
        let (bytes, keys) = file.raw_metadata();
        self.metadata.extend(bytes);
        self.keys += keys as u64;
        self
    }

    fn key(&mut self, key: &str, type_id: u32) -> &mut Vec<u8> {
        self.keys += 1;
        put_string(&mut self.metadata, key.as_bytes());
        self.metadata.extend(type_id.to_le_bytes());
        &mut self.metadata
    }

    fn array_key(&mut self, key: &str, element_id: u32, count: usize) -> &mut Vec<u8> {
        let out = self.key(key, 9);
        out.extend(element_id.to_le_bytes());
        out.extend((count as u64).to_le_bytes());
        out
    }

    /// Adds a string.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        put_string(self.key(key, 8), value.as_bytes());
        self
    }

    /// Adds an unsigned 32-bit number.
    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.key(key, 4).extend(value.to_le_bytes());
        self
    }

    /// Adds a 32-bit float.
    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.key(key, 6).extend(value.to_le_bytes());
        self
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key, 7).push(u8::from(value));
        self
    }

    /// Adds an array of strings.
    pub fn strings<S: AsRef<[u8]>>(&mut self, key: &str, values: &[S]) -> &mut Self {
        let out = self.array_key(key, 8, values.len());
        for value in values {
            put_string(out, value.as_ref());
        }
        self
    }

    /// Adds an array of 32-bit floats.
    pub fn floats(&mut self, key: &str, values: &[f32]) -> &mut Self {
        let out = self.array_key(key, 6, values.len());
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    /// Adds an array of signed 32-bit numbers.
    pub fn signed_integers(&mut self, key: &str, values: &[i32]) -> &mut Self {
        let out = self.array_key(key, 5, values.len());
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    /// Adds a tensor: `dimensions` fastest first, `bytes` as [`TensorType`] lays them out.
    pub fn tensor(&mut self, name: &str, kind: TensorType, dimensions: &[usize], bytes: &[u8]) -> &mut Self {
        self.tensors += 1;
        self.data.resize(self.data.len().next_multiple_of(ALIGNMENT), 0);
        put_string(&mut self.directory, name.as_bytes());
        let rank = u32::try_from(dimensions.len()).unwrap_or(u32::MAX);
        self.directory.extend(rank.to_le_bytes());
        self.directory.extend(dimensions.iter().flat_map(|&size| (size as u64).to_le_bytes()));
        self.directory.extend(kind.id().to_le_bytes());
        self.directory.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(bytes);
        self
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.keys.to_le_bytes());
        file.extend(&self.metadata);
        file.extend(&self.directory);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(&self.data);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file
    }
}

fn put_string(out: &mut Vec<u8>, value: &[u8]) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value);
}
