//! The Jinja environment that published chat templates are written for, made safe to run on a stranger's template.
//!
//! It follows the one of Hugging Face's transformers: blocks are trimmed, loops have `break`, strings have Python's
//! methods, and there are `raise_exception`, `strftime_now` and a `tojson` without HTML escapes.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, State};

use super::json;

/// The variable that carries the time (seconds since 1970, UTC) to `strftime_now`; no name that a template would use.
pub(crate) const TIME_VARIABLE: &str = "__render_time";

/// What a rendering may cost: one unit is one instruction or 64 bytes made, so this bounds it to some 130 MB and
/// well under a second. A chat of 1,000 messages and a megabyte takes about a twentieth.
const MAX_FUEL: u64 = 2_000_000;

/// The message of a template's own `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Raised(pub(crate) String);

/// An environment without templates.
pub(crate) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(MAX_FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", json::to_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    Ok(environment)
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// Formats the time that the rendering was given, in UTC.
fn strftime_now(state: &State<'_, '_>, format: &str) -> Result<String, Error> {
    let wrong = |cause: jiff::Error| {
        let problem = format!("strftime_now: {format:?} cannot be formatted");
        Error::new(ErrorKind::InvalidOperation, problem).with_source(cause)
    };
    let seconds = state.lookup(TIME_VARIABLE).and_then(|value| value.as_i64()).ok_or_else(|| {
        Error::new(
            ErrorKind::UndefinedError,
            "strftime_now: the template has hidden the time of the rendering",
        )
    })?;
    let now = Timestamp::from_second(seconds).map_err(wrong)?.to_zoned(TimeZone::UTC);
    strtime::format(format, &now).map_err(wrong)
}
