//! Typed access to the metadata of a GGUF file. Values stay where they are in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::GgufError;
use super::cursor::Cursor;

/// Longest metadata key, as the specification has it.
const MAX_KEY_BYTES: usize = 65_535;

/// The type of a metadata value, by GGUF's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One of the fixed-size numbers, with its size in bytes.
    Number(NumberType),
    /// One byte, 0 or 1.
    Bool,
    /// A length and bytes.
    String,
    /// Values of one type.
    Array,
}

/// The fixed-size numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    I8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, signed.
    I32,
    /// 64 bits, unsigned.
    U64,
    /// 64 bits, signed.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

impl NumberType {
    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

impl ValueType {
    fn from_id(id: u32) -> Result<Self, GgufError> {
        Ok(match id {
            0 => Self::Number(NumberType::U8),
            1 => Self::Number(NumberType::I8),
            2 => Self::Number(NumberType::U16),
            3 => Self::Number(NumberType::I16),
            4 => Self::Number(NumberType::U32),
            5 => Self::Number(NumberType::I32),
            6 => Self::Number(NumberType::F32),
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::Number(NumberType::U64),
            11 => Self::Number(NumberType::I64),
            12 => Self::Number(NumberType::F64),
            _ => return Err(GgufError::Corrupt { what: "the type of a metadata value" }),
        })
    }

    /// Bytes of one value, where they are fixed.
    fn fixed_bytes(self) -> Option<usize> {
        match self {
            Self::Number(number) => Some(number.bytes()),
            Self::Bool => Some(1),
            Self::String | Self::Array => None,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "a number ({number:?})"),
            Self::Bool => f.write_str("a bool"),
            Self::String => f.write_str("a string"),
            Self::Array => f.write_str("an array"),
        }
    }
}

/// One value's type and its place in the file.
#[derive(Clone, Debug)]
struct Entry {
    kind: ValueType,
    /// For an array, the type of its elements.
    element: ValueType,
    /// For an array, how many.
    count: usize,
    span: Range<usize>,
}

/// The keys of a file and where their values stand.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataIndex(BTreeMap<String, Entry>);

impl MetadataIndex {
    /// Reads `count` keys and walks over their values.
    pub(super) fn read(cursor: &mut Cursor<'_>, count: usize) -> Result<Self, GgufError> {
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let key = cursor.name("a metadata key", MAX_KEY_BYTES)?.to_owned();
            let kind = ValueType::from_id(cursor.u32("the type of a metadata value")?)?;
            let entry = read_entry(cursor, kind)?;
            if entries.insert(key.clone(), entry).is_some() {
                return Err(GgufError::Duplicate { name: key });
            }
        }
        Ok(Self(entries))
    }

    pub(super) fn view<'a>(&'a self, bytes: &'a [u8]) -> Metadata<'a> {
        Metadata { index: self, bytes }
    }
}

fn read_entry(cursor: &mut Cursor<'_>, kind: ValueType) -> Result<Entry, GgufError> {
    const WHAT: &str = "a metadata value";
    let (element, count) = if kind == ValueType::Array {
        let element = ValueType::from_id(cursor.u32(WHAT)?)?;
        let count = cursor.count("elements of an array", cursor.remaining() as u64)?;
        (element, count)
    } else {
        (kind, 1)
    };
    let start = cursor.offset();
    match element {
        ValueType::Array => return Err(GgufError::Corrupt { what: "an array of arrays in the metadata" }),
        ValueType::String => (0..count).try_for_each(|_| cursor.string(WHAT).map(|_| ()))?,
        fixed => {
            let size = fixed.fixed_bytes().and_then(|size| size.checked_mul(count));
            cursor.take(size.ok_or(GgufError::Corrupt { what: WHAT })?, WHAT)?;
        }
    }
    Ok(Entry { kind, element, count, span: start..cursor.offset() })
}

/// The metadata of a file.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    index: &'a MetadataIndex,
    bytes: &'a [u8],
}

impl<'a> Metadata<'a> {
    /// Every key, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.index.0.keys().map(String::as_str)
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.index.0.contains_key(key)
    }

    fn find(&self, key: &str) -> Result<(&'a Entry, &'a [u8]), GgufError> {
        let entry = self.index.0.get(key).ok_or_else(|| GgufError::MissingKey { key: key.to_owned() })?;
        Ok((entry, self.bytes.get(entry.span.clone()).unwrap_or_default()))
    }

    /// A string value.
    pub fn string(&self, key: &str) -> Result<&'a str, GgufError> {
        let (entry, bytes) = self.find(key)?;
        if entry.kind != ValueType::String {
            return Err(wrong(key, entry, "a string"));
        }
        Cursor::new(bytes).name("a metadata string", usize::MAX)
    }

    /// An unsigned whole number, of any width and either sign as long as it is not negative.
    pub fn unsigned(&self, key: &str) -> Result<u64, GgufError> {
        let (entry, bytes) = self.find(key)?;
        match entry.kind {
            ValueType::Number(number) => whole(number, bytes).and_then(|value| u64::try_from(value).ok()),
            _ => None,
        }
        .ok_or_else(|| wrong(key, entry, "an unsigned whole number"))
    }

    /// A 32-bit float.
    pub fn float(&self, key: &str) -> Result<f32, GgufError> {
        let (entry, bytes) = self.find(key)?;
        match (entry.kind, <[u8; 4]>::try_from(bytes)) {
            (ValueType::Number(NumberType::F32), Ok(raw)) => Ok(f32::from_le_bytes(raw)),
            _ => Err(wrong(key, entry, "a 32-bit float")),
        }
    }

    /// A truth value.
    pub fn boolean(&self, key: &str) -> Result<bool, GgufError> {
        let (entry, bytes) = self.find(key)?;
        match (entry.kind, bytes) {
            (ValueType::Bool, [value]) => Ok(*value != 0),
            _ => Err(wrong(key, entry, "a bool")),
        }
    }

    /// An array of strings, for instance the vocabulary.
    pub fn strings(&self, key: &str) -> Result<Strings<'a>, GgufError> {
        let (entry, bytes) = self.array(key, ValueType::String, "an array of strings")?;
        Ok(Strings { cursor: Cursor::new(bytes), left: entry.count })
    }

    /// An array of 32-bit floats, for instance the scores of a vocabulary.
    pub fn floats(&self, key: &str) -> Result<impl ExactSizeIterator<Item = f32> + 'a, GgufError> {
        let f32s = ValueType::Number(NumberType::F32);
        let (_, bytes) = self.array(key, f32s, "an array of 32-bit floats")?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)))
    }

    /// An array of signed 32-bit numbers, for instance the token types of a vocabulary.
    pub fn signed_integers(&self, key: &str) -> Result<impl ExactSizeIterator<Item = i32> + 'a, GgufError> {
        let i32s = ValueType::Number(NumberType::I32);
        let (_, bytes) = self.array(key, i32s, "an array of signed 32-bit numbers")?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|raw| i32::from_le_bytes(*raw)))
    }

    fn array(
        &self,
        key: &str,
        element: ValueType,
        wanted: &'static str,
    ) -> Result<(&'a Entry, &'a [u8]), GgufError> {
        let (entry, bytes) = self.find(key)?;
        let fits = entry.kind == ValueType::Array && entry.element == element;
        if fits { Ok((entry, bytes)) } else { Err(wrong(key, entry, wanted)) }
    }
}

fn wrong(key: &str, entry: &Entry, wanted: &'static str) -> GgufError {
    GgufError::WrongType { key: key.to_owned(), found: entry.kind, wanted }
}

fn whole(number: NumberType, bytes: &[u8]) -> Option<i128> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(wide);
    // Sign extension: moves the number's top bit to the top of 64 bits and back.
    let shift = 64 - 8 * u32::try_from(number.bytes()).ok()?;
    let signed = ((unsigned << shift).cast_signed()) >> shift;
    match number {
        NumberType::U8 | NumberType::U16 | NumberType::U32 | NumberType::U64 => Some(unsigned.into()),
        NumberType::I8 | NumberType::I16 | NumberType::I32 | NumberType::I64 => Some(signed.into()),
        NumberType::F32 | NumberType::F64 => None,
    }
}

/// The strings of an array, as bytes: a vocabulary may hold pieces of UTF-8.
#[derive(Clone)]
pub struct Strings<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.cursor.string("a string of an array").ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Strings<'_> {}
