use crate::{check, done, raw, Blob, Read, Result};

/// Keys and values that outlive a message. A time to live is in milliseconds; 0
/// is for ever.
pub mod kv {
    use super::*;

    /// The value of a key.
    pub fn get(key: &[u8]) -> Read<impl Fn(*mut u8, usize) -> i32 + '_> {
        Read(move |p, n| unsafe { raw::kv_get(key.as_ptr(), key.len(), p, n) })
    }

    /// Keeps a value.
    pub fn set(key: &[u8], value: &[u8], ttl_ms: i64) -> Result<()> {
        done(unsafe { raw::kv_set(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl_ms) })
    }

    /// Forgets a key.
    pub fn remove(key: &[u8]) -> Result<()> {
        done(unsafe { raw::kv_del(key.as_ptr(), key.len()) })
    }

    /// Adds to a counter, and gives its new value.
    pub fn add(key: &[u8], delta: i64, ttl_ms: i64) -> Result<i64> {
        let mut now = 0;
        check(unsafe { raw::kv_add(key.as_ptr(), key.len(), delta, ttl_ms, &mut now) })?;
        Ok(now)
    }

    /// Sets a value if it still is `old`, and tells whether it was. An empty `old`
    /// is a key that is not there, an empty `new` deletes.
    pub fn compare_and_swap(key: &[u8], old: &[u8], new: &[u8], ttl_ms: i64) -> Result<bool> {
        let (k, o, n) = (key, old, new);
        let swapped = unsafe { raw::kv_cas(k.as_ptr(), k.len(), o.as_ptr(), o.len(), n.as_ptr(), n.len(), ttl_ms) };
        check(swapped).map(|n| n > 0)
    }
}

/// The records of a type (1 A, 15 MX, 16 TXT, …), one a line.
pub fn dns(record: i32, name: &str) -> Read<impl Fn(*mut u8, usize) -> i32 + '_> {
    Read(move |p, n| unsafe { raw::dns(record, name.as_ptr(), name.len(), p, n) })
}

/// Originates a message; recipients are addresses, one a line.
pub fn send(sender: &str, recipients: &str, message: impl AsRef<[u8]>) -> Result<()> {
    let (blob, s, r) = (Blob::of(message)?, sender, recipients);
    done(unsafe { raw::send(s.as_ptr(), s.len(), r.as_ptr(), r.len(), blob.0) })
}

/// Adds to a counter of the server's metrics.
pub fn count(name: &str, delta: i64) {
    unsafe { raw::counter(name.as_ptr(), name.len(), delta) }
}

/// Adds a value to a histogram of the server's metrics.
pub fn observe(name: &str, value: f64) {
    unsafe { raw::observe(name.as_ptr(), name.len(), value) }
}
