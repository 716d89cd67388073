use crate::{check, done, raw, Level, Read, Result};

/// Writes a line to the server's log.
pub fn log(level: Level, text: &str) {
    unsafe { raw::log(level.0, text.as_ptr(), text.len()) }
}

/// Tells whether lines of that level are kept.
pub fn log_enabled(level: Level) -> bool {
    unsafe { raw::log_enabled(level.0) > 0 }
}

/// The version of the host's functions: major << 16 | minor.
pub fn abi_version() -> i32 {
    unsafe { raw::abi_version() }
}

/// Tells whether the host has a function of that name, for this plugin.
pub fn has(function: &str) -> bool {
    unsafe { raw::has(function.as_ptr(), function.len()) > 0 }
}

/// Calls an operation of the host that is no function of this crate.
pub fn call<'a>(op: &'a str, input: &'a [u8]) -> Read<impl Fn(*mut u8, usize) -> i32 + 'a> {
    Read(move |p, n| unsafe { raw::call(op.as_ptr(), op.len(), input.as_ptr(), input.len(), p, n) })
}

/// The stage's `config:` as JSON; see [`json`](crate::json).
pub fn config() -> Read<impl Fn(*mut u8, usize) -> i32> {
    Read(|p, n| unsafe { raw::config(p, n) })
}

/// One value of the session or the message: `context("/client/ip")`.
pub fn context(key: &str) -> Read<impl Fn(*mut u8, usize) -> i32 + '_> {
    Read(move |p, n| unsafe { raw::ctx_get(key.as_ptr(), key.len(), p, n) })
}

/// The whole context as JSON.
pub fn context_json() -> Read<impl Fn(*mut u8, usize) -> i32> {
    Read(|p, n| unsafe { raw::ctx_json(p, n) })
}

/// How long a note lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Scope {
    /// The session: all its messages.
    Connection = raw::SCOPE_CONNECTION,
    /// The message, until it is queued.
    Transaction = raw::SCOPE_TRANSACTION,
    /// The message in the queue.
    Queued = raw::SCOPE_QUEUED,
}

/// What an earlier stage left under a key.
pub fn note(scope: Scope, key: &str) -> Read<impl Fn(*mut u8, usize) -> i32 + '_> {
    Read(move |p, n| unsafe { raw::note_get(scope as i32, key.as_ptr(), key.len(), p, n) })
}

/// Leaves something for later stages.
pub fn set_note(scope: Scope, key: &str, value: &str) -> Result<()> {
    done(unsafe { raw::note_set(scope as i32, key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

/// The milliseconds that this hook has left.
pub fn deadline_ms() -> Result<i32> {
    check(unsafe { raw::deadline_ms() })
}

/// The milliseconds since 1970.
pub fn now_ms() -> i64 {
    unsafe { raw::now_ms() }
}

/// Fills a buffer with random octets.
pub fn random(buf: &mut [u8]) -> Result<()> {
    done(unsafe { raw::random(buf.as_mut_ptr(), buf.len()) })
}
