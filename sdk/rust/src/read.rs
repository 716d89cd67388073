use crate::{check, Error, Result};
#[cfg(feature = "alloc")]
use {crate::optional, alloc::string::String, alloc::vec::Vec};

/// Octets that the host has not given yet. It is asked when you say where they
/// go.
pub struct Read<F: Fn(*mut u8, usize) -> i32>(pub(crate) F);

impl<F: Fn(*mut u8, usize) -> i32> Read<F> {
    /// Puts the octets into `buf`. If they do not fit, the error is
    /// [`Error::LIMIT`].
    pub fn into_slice(self, buf: &mut [u8]) -> Result<&mut [u8]> {
        let n = check((self.0)(buf.as_mut_ptr(), buf.len()))? as usize;
        buf.get_mut(..n).ok_or(Error::LIMIT)
    }

    /// How many octets there are.
    pub fn size(&self) -> Result<usize> {
        Ok(check((self.0)(core::ptr::NonNull::dangling().as_ptr(), 0))? as usize)
    }

    /// The octets as they are.
    #[cfg(feature = "alloc")]
    pub fn bytes(self) -> Result<Vec<u8>> {
        let mut buf = Vec::with_capacity(256);
        loop {
            let n = check((self.0)(buf.as_mut_ptr(), buf.capacity()))? as usize;
            if n <= buf.capacity() {
                // The host wrote n octets.
                unsafe { buf.set_len(n) };
                return Ok(buf);
            }
            buf.reserve(n);
        }
    }

    /// The octets as text; what is no UTF-8 becomes U+FFFD.
    #[cfg(feature = "alloc")]
    pub fn text(self) -> Result<String> {
        Ok(into_text(self.bytes()?))
    }

    /// As [`Read::text`], and nothing if the host says that there is none.
    #[cfg(feature = "alloc")]
    pub fn optional(self) -> Result<Option<String>> {
        optional(self.text())
    }
}

#[cfg(feature = "alloc")]
pub(crate) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// A read of any length, from an offset on: it gives how many octets it wrote,
/// and 0 at the end.
#[cfg(feature = "alloc")]
pub(crate) fn read_all(size: i64, read: impl Fn(i64, *mut u8, usize) -> i32) -> Result<Vec<u8>> {
    check(size.min(i32::MAX as i64) as i32)?;
    let size = size as usize;
    let mut buf: Vec<u8> = Vec::with_capacity(size);
    while buf.len() < size {
        let at = buf.len();
        // What is behind at is of the buffer, and not yet in it.
        let n = check(read(at as i64, unsafe { buf.as_mut_ptr().add(at) }, size - at))? as usize;
        if n == 0 {
            break;
        }
        // The host wrote n octets.
        unsafe { buf.set_len(at + n) };
    }
    Ok(buf)
}
