//! What the library plays.
//!
//! ```json
//! {
//!   "driver": "570.86.15",
//!   "errors": { "nvmlDeviceGetCount_v2": 999 },
//!   "blocked": ["nvmlInit_v2"], "held": [], "crash": [],
//!   "boards": [ { "uuid": "GPU-0", "temperature": 91, "errors": { "nvmlDeviceGetTemperature": 15 }, "mig": [null] } ]
//! }
//! ```
//!
//! A call with an error returns it; a blocked one waits until it is blocked no more; one that is held waits for ever, and
//! every later call with it; one that crashes takes the process along. All four may stand at a board, too. Values that a
//! board lacks are those of a board in good health.
#![expect(
    clippy::disallowed_methods,
    reason = "a script lies on the real disk, and a blocked call waits for real"
)]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, nvmlReturn_t};
use serde_json::Value;

/// Names the script.
const SCRIPT: &str = "HELIXFLOW_NVML_STUB";
/// How often a call that is blocked looks whether it still is.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Bits of a handle that number an instance on its board; 0 is the board itself.
const INSTANCE_BITS: usize = 8;

/// A call is held: so is every later one.
static HELD: AtomicBool = AtomicBool::new(false);

/// The script, as it stands now.
pub(crate) struct Script(Value);

/// A board, or an instance on one.
pub(crate) struct Board<'s> {
    pub(crate) board: &'s Value,
    pub(crate) instance: Option<&'s Value>,
}

fn path() -> PathBuf {
    std::env::var_os(SCRIPT).map(PathBuf::from).unwrap_or_default()
}

/// The log of what was set: a call and its arguments a line.
pub(crate) fn log() -> PathBuf {
    path().with_extension("log")
}

/// Writes down that an event was delivered, a line each.
pub(crate) fn record_event(code: u64) {
    record("events", code);
}

/// Writes down that a wait for events has failed, a line each.
pub(crate) fn record_failed_wait(error: nvmlReturn_t) {
    record("failed-waits", error.into());
}

fn record(kind: &str, number: u64) {
    let file = OpenOptions::new().create(true).append(true).open(path().with_extension(kind));
    // A test that waits for it fails then.
    let _ = file.and_then(|mut file| writeln!(file, "{number}"));
}

/// Waits a little; for how long.
pub(crate) fn rest() -> Duration {
    std::thread::sleep(LOOK_AGAIN);
    LOOK_AGAIN
}

impl Script {
    /// Reads it. While a test replaces the file, the new one is there or the old one.
    pub(crate) fn read() -> Self {
        let text = std::fs::read(path()).unwrap_or_default();
        Self(serde_json::from_slice(&text).unwrap_or_default())
    }

    pub(crate) fn text<'s>(&'s self, key: &str, usual: &'s str) -> &'s str {
        self.0[key].as_str().unwrap_or(usual)
    }

    pub(crate) fn boards(&self) -> &[Value] {
        self.0["boards"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What a handle stands for.
    pub(crate) fn board(&self, handle: nvmlDevice_t) -> Option<Board<'_>> {
        let handle = handle.addr();
        let (index, instance) = (handle >> INSTANCE_BITS, handle & ((1 << INSTANCE_BITS) - 1));
        let board = self.boards().get(index.checked_sub(1)?)?;
        let instance = instance.checked_sub(1).map(|place| &board["mig"][place]);
        Some(Board { board, instance })
    }
}

/// The handle of a board, or of an instance on it.
pub(crate) fn handle(board: usize, instance: Option<usize>) -> nvmlDevice_t {
    let instance = instance.map_or(0, |place| place + 1);
    std::ptr::without_provenance_mut(((board + 1) << INSTANCE_BITS) | instance)
}

impl Board<'_> {
    /// A value, of the board unless it is an instance's own.
    pub(crate) fn number(&self, key: &str, usual: i64) -> i64 {
        let own = self.instance.and_then(|instance| instance[key].as_i64());
        own.or_else(|| self.board[key].as_i64()).unwrap_or(usual)
    }

    pub(crate) fn uuid(&self) -> &str {
        self.instance.unwrap_or(self.board)["uuid"].as_str().unwrap_or_default()
    }
}

/// Plays a call that is about no board.
pub(crate) fn play(call: &str, answer: impl FnOnce(&Script) -> nvmlReturn_t) -> nvmlReturn_t {
    let script = Script::read();
    let error = course(call, &script.0, || Script::read().0);
    error.unwrap_or_else(|| answer(&Script::read()))
}

/// Plays a call about a board.
pub(crate) fn play_board(
    call: &str,
    device: nvmlDevice_t,
    answer: impl FnOnce(&Board<'_>) -> nvmlReturn_t,
) -> nvmlReturn_t {
    let now = || Script::read().board(device).map(|board| board.board.clone()).unwrap_or_default();
    play(call, |_| {
        let error = course(call, &now(), now);
        error.unwrap_or_else(|| {
            let script = Script::read();
            script.board(device).map_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, |board| answer(&board))
        })
    })
}

/// What the script lets become of a call before any value is given: the error that it returns, if it returns at all.
fn course(call: &str, script: &Value, now: impl Fn() -> Value) -> Option<nvmlReturn_t> {
    let names = |script: &Value, key: &str| {
        script[key].as_array().is_some_and(|calls| calls.iter().any(|named| named == call))
    };
    if names(script, "crash") {
        std::process::abort();
    }
    if names(script, "held") {
        HELD.store(true, Ordering::SeqCst);
    }
    while HELD.load(Ordering::SeqCst) || names(&now(), "blocked") {
        rest();
    }
    error(&now(), call)
}

/// The error that a call returns, where it is to return one.
pub(crate) fn error(script: &Value, call: &str) -> Option<nvmlReturn_t> {
    script["errors"][call].as_u64().and_then(|code| nvmlReturn_t::try_from(code).ok())
}
