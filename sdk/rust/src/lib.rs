//! What a plugin of mta is written with in Rust. A plugin exports its hooks:
//!
//! ```ignore
//! use mta::{Result, Verdict, ROOT, TOP};
//!
//! mta::on_message!(hello);
//!
//! fn hello() -> Result<Verdict> {
//!     ROOT.insert_field(TOP, "X-Hello", "from Rust")?;
//!     Ok(Verdict::CONTINUE)
//! }
//! ```
//!
//! `mta plugin build` compiles a folder with it: a file `plugin.rs` or a crate
//! with `src/lib.rs`, with std or without. With cargo the target is
//! wasm32-unknown-unknown and the crate type cdylib.
//!
//! The crate needs no other, and no std. What gives text of any length is a
//! [`Read`]: it goes into a buffer of yours, or with the feature `alloc` into a
//! `String` or a `Vec`. A plugin that is `#![no_std]` gets the crate without
//! `alloc`, and its panic handler.
//!
//! What a hook changes counts if it returns a verdict, and is undone if it
//! returns an error, panics or takes too long. By default nothing keeps its
//! value from one message to the next.
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "allocator")]
mod allocator;
mod content;
mod core_calls;
mod envelope;
mod hook;
pub mod json;
#[allow(missing_docs)]
pub mod raw;
mod read;
mod services;

pub use content::*;
pub use core_calls::*;
pub use envelope::*;
pub use hook::*;
pub use raw::{FLAG_ATTACHMENT, FLAG_INSIDE_SIGNED, FLAG_MALFORMED, FLAG_MODIFIED, FLAG_MULTIPART};
pub use read::*;
pub use services::*;

/// What a function of the host can answer instead of a result: a negative
/// number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(pub(crate) i32);

/// What most of the crate gives.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// The number, which is negative.
    pub fn code(self) -> i32 {
        self.0
    }

    /// The error in words.
    pub fn text(self) -> &'static str {
        match self {
            Error::NOT_FOUND => "not found",
            Error::BAD_ARG => "bad argument",
            Error::WRONG_STAGE => "wrong stage",
            Error::NOT_GRANTED => "not granted",
            Error::LIMIT => "limit reached",
            Error::TIMEOUT => "timed out",
            Error::IO => "input/output error",
            Error::UNSUPPORTED => "not supported",
            Error::SIGNED => "inside a signature",
            _ => "error",
        }
    }
}

impl AsRef<str> for Error {
    fn as_ref(&self) -> &str {
        self.text()
    }
}

impl core::fmt::Debug for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

/// What a hook answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verdict(pub(crate) i32);

/// How much a line of the log matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Level(pub(crate) i32);

/// check makes a result of the host's number.
pub(crate) fn check(n: i32) -> Result<i32> {
    if n < 0 {
        Err(Error(n))
    } else {
        Ok(n)
    }
}

pub(crate) fn done(n: i32) -> Result<()> {
    check(n).map(|_| ())
}

pub(crate) fn optional<T>(r: Result<T>) -> Result<Option<T>> {
    match r {
        Ok(v) => Ok(Some(v)),
        Err(Error::NOT_FOUND) => Ok(None),
        Err(e) => Err(e),
    }
}
