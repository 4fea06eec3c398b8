//! The `tojson` filter as Python's `json.dumps` writes it, since that is what templates are written against.
//!
//! The template engine's own filter escapes `<`, `>`, `&` and `'` for HTML, which would change what the model reads.

use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, State, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

/// Widest indentation: a template has no use for more, and a hostile one could ask for gigabytes.
const MAX_INDENT: usize = 16;
/// The engine's price: one unit of fuel for 64 bytes.
const BYTES_PER_FUEL: usize = 64;

/// `{{ value | tojson }}` and `{{ value | tojson(indent=4) }}`. Python's other options change nothing here, but
/// `ensure_ascii`, which templates set to false, and false is what this writes.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands keyword arguments over by value")]
pub(crate) fn to_json(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let json = match indent {
        None => write(value, Spaced),
        Some(width) if width <= MAX_INDENT => {
            write(value, PrettyFormatter::with_indent(" ".repeat(width).as_bytes()))
        }
        Some(width) => {
            let problem = format!("tojson: indent {width} is more than {MAX_INDENT}");
            return Err(Error::new(ErrorKind::InvalidOperation, problem));
        }
    };
    let json = json.map_err(|cause| {
        Error::new(ErrorKind::InvalidOperation, "tojson: the value has no JSON form").with_source(cause)
    })?;
    state.consume_fuel(u64::try_from(json.len() / BYTES_PER_FUEL).unwrap_or(u64::MAX))?;
    Ok(json)
}

fn write(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Python's default separators, `, ` and `: `.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
