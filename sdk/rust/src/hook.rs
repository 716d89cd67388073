use crate::{log, raw, Error, Level, Result, Verdict};
use core::cell::UnsafeCell;

/// What a hook's function can give back.
pub trait Answer {
    /// The number that the host reads.
    fn number(self) -> i32;
}

impl Answer for Verdict {
    fn number(self) -> i32 {
        self.0
    }
}

/// Nothing is to continue.
impl Answer for () {
    fn number(self) -> i32 {
        Verdict::CONTINUE.0
    }
}

/// An error undoes what the hook changed, and the stage's `on_error` decides.
impl<A: Answer, E: AsRef<str>> Answer for core::result::Result<A, E> {
    fn number(self) -> i32 {
        match self {
            Ok(a) => a.number(),
            Err(e) => {
                log(Level::ERROR, e.as_ref());
                -1
            }
        }
    }
}

/// What the function of [`on_load!`] can give back.
pub trait Loaded {
    /// The number that the host reads.
    fn number(self) -> i32;
}

impl Loaded for () {
    fn number(self) -> i32 {
        0
    }
}

/// An error keeps the server from starting; the operator reads its text.
impl<E: AsRef<str>> Loaded for core::result::Result<(), E> {
    fn number(self) -> i32 {
        match self {
            Ok(()) => 0,
            Err(e) => {
                let _ = reply(550, "", e.as_ref()); // without it the operator reads the server's own words
                1
            }
        }
    }
}

/// Exports a function as a hook. The macros with the hooks' names are shorter.
#[macro_export]
macro_rules! hook {
    ($name:literal, $answer:ident, $f:expr) => {
        const _: () = {
            #[export_name = $name]
            extern "C" fn hook() -> i32 {
                $crate::log_panics();
                $crate::$answer::number($f())
            }
        };
    };
}

/// Exports `f() -> Result<(), impl AsRef<str>>`, which runs once, when the
/// server loads the plugin.
#[macro_export]
macro_rules! on_load {
    ($f:expr) => {
        $crate::hook!("on_load", Loaded, $f);
    };
}

macro_rules! hooks {
    ($d:tt $($name:ident $export:literal)*) => { $(
        /// Exports a function that gives a verdict, or a `Result` of one.
        #[macro_export]
        macro_rules! $name {
            ($d f:expr) => { $crate::hook!($export, Answer, $d f); };
        }
    )* };
}

hooks! {
    $
    on_connect "on_connect"
    on_helo "on_helo"
    on_auth "on_auth"
    on_mail "on_mail"
    on_rcpt "on_rcpt"
    on_data "on_data"
    on_headers "on_headers"
    on_message "on_message"
    on_route "on_route"
    on_local "on_local"
    on_delivery "on_delivery"
    on_dsn "on_dsn"
    on_disconnect "on_disconnect"
}

/// Refuses for good: code is 500 to 599, and `enhanced` (RFC 3463) may be empty.
pub fn reject(code: i32, enhanced: &str, text: &str) -> Result<Verdict> {
    reply(code, enhanced, text).map(|_| Verdict::REJECT)
}

/// Refuses for now: code is 400 to 499.
pub fn defer(code: i32, enhanced: &str, text: &str) -> Result<Verdict> {
    reply(code, enhanced, text).map(|_| Verdict::DEFER)
}

/// Refuses and closes the session: 421 is for now, 521 for good.
pub fn disconnect(code: i32, enhanced: &str, text: &str) -> Result<Verdict> {
    reply(code, enhanced, text).map(|_| Verdict::DISCONNECT)
}

/// Accepts the message, and holds it for the operator.
pub fn quarantine(reason: &str) -> Result<Verdict> {
    crate::done(unsafe { raw::quarantine(reason.as_ptr(), reason.len()) }).map(|_| Verdict::QUARANTINE)
}

/// The words that go with a verdict.
pub fn reply(code: i32, enhanced: &str, text: &str) -> Result<()> {
    crate::done(unsafe { raw::reply(code, enhanced.as_ptr(), enhanced.len(), text.as_ptr(), text.len()) })
}

/// A place for what [`on_load!`] made, for hooks to read: a plugin has one
/// thread.
///
/// ```ignore
/// static CONFIG: mta::Global<Config> = mta::Global::new();
/// ```
pub struct Global<T>(UnsafeCell<Option<T>>);

unsafe impl<T> Sync for Global<T> {} // WebAssembly has one thread here

impl<T> Global<T> {
    /// A place with nothing in it.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Puts a value into the place, once.
    pub fn set(&self, value: T) -> Result<()> {
        let place = unsafe { &mut *self.0.get() }; // get gives no reference before there is a value
        match place {
            Some(_) => Err(Error::BAD_ARG),
            None => {
                *place = Some(value);
                Ok(())
            }
        }
    }

    /// The value.
    pub fn get(&self) -> Option<&T> {
        unsafe { (*self.0.get()).as_ref() }
    }
}

/// Has panics logged from here on: without it their words are lost, as there is
/// no standard error.
#[doc(hidden)]
pub fn log_panics() {
    #[cfg(feature = "std")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(std::boxed::Box::new(|info| {
                log(Level::ERROR, &std::string::ToString::to_string(info));
            }))
        });
    }
}

/// Ends the hook of a plugin that has no std, and says in which file.
#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    log(Level::ERROR, "panicked in:");
    log(Level::ERROR, info.location().map_or("an unknown place", |l| l.file()));
    core::arch::wasm32::unreachable()
}
