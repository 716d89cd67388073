#[cfg(feature = "alloc")]
use crate::{into_text, read_all};
use crate::{check, done, optional, raw, Read, Result};
#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};

/// Above everything, our Received: too.
pub const TOP: i32 = raw::INDEX_TOP;
/// Below everything.
pub const BOTTOM: i32 = raw::INDEX_BOTTOM;
/// The part that is the message itself.
pub const ROOT: Part = Part(raw::ROOT);

/// A part of the MIME tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Part(i32);

/// A header field, until one above it is inserted or removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field {
    part: i32,
    index: i32,
}

impl Field {
    /// Its place among the fields of its part.
    pub fn index(self) -> i32 {
        self.index
    }

    /// Its name.
    pub fn name(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        Read(move |p, n| unsafe { raw::hdr_name(self.part, self.index, p, n) })
    }

    /// Its value without line breaks, and with encoded words as UTF-8.
    pub fn value(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        self.value_as(raw::HDR_DECODED)
    }

    /// Its value in another form: `raw::HDR_...`.
    pub fn value_as(self, mode: i32) -> Read<impl Fn(*mut u8, usize) -> i32> {
        Read(move |p, n| unsafe { raw::hdr_value(self.part, self.index, mode, p, n) })
    }

    /// Gives it another value; the host folds and encodes it.
    pub fn set(self, value: impl AsRef<[u8]>) -> Result<()> {
        let v = value.as_ref();
        done(unsafe { raw::hdr_set(self.part, self.index, v.as_ptr(), v.len()) })
    }

    /// Takes it out.
    pub fn remove(self) -> Result<()> {
        done(unsafe { raw::hdr_remove(self.part, self.index) })
    }
}

/// Goes over all parts: the message first, and each before its children.
pub fn parts() -> Parts {
    Parts(Ok(Some(ROOT)))
}

/// See [`parts`]. An error is given once, and ends it.
pub struct Parts(Result<Option<Part>>);

impl Iterator for Parts {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Result<Part>> {
        let now = core::mem::replace(&mut self.0, Ok(None));
        if let Ok(Some(part)) = now {
            self.0 = part.after();
        }
        now.transpose()
    }
}

impl Part {
    /// The number that the host knows it by.
    pub fn id(self) -> i32 {
        self.0
    }

    /// Its first child.
    pub fn first(self) -> Result<Option<Part>> {
        part(unsafe { raw::part_first(self.0) })
    }

    /// What comes next below the same parent.
    pub fn next(self) -> Result<Option<Part>> {
        part(unsafe { raw::part_next(self.0) })
    }

    /// What it is a part of.
    pub fn parent(self) -> Result<Option<Part>> {
        part(unsafe { raw::part_parent(self.0) })
    }

    /// What comes next in preorder.
    fn after(self) -> Result<Option<Part>> {
        let mut at = self;
        let mut next = at.first()?;
        while next.is_none() && at != ROOT {
            next = at.next()?;
            if next.is_none() {
                match at.parent()? {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
        }
        Ok(next)
    }

    /// The first part of a type ("text/*") in preorder, at or after this one.
    pub fn find(self, media_type: &str) -> Result<Option<Part>> {
        part(unsafe { raw::part_find(media_type.as_ptr(), media_type.len(), self.0) })
    }

    /// Its media type, in lower case.
    pub fn media_type(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        self.info(raw::PART_TYPE)
    }

    /// The name of its file.
    pub fn filename(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        self.info(raw::PART_FILENAME)
    }

    /// Something else about it: `raw::PART_...`.
    pub fn info(self, what: i32) -> Read<impl Fn(*mut u8, usize) -> i32> {
        Read(move |p, n| unsafe { raw::part_info(self.0, what, p, n) })
    }

    /// Its flags: `FLAG_...`.
    pub fn flags(self) -> Result<i32> {
        check(unsafe { raw::part_flags(self.0) })
    }

    /// Tells whether it is an attachment.
    pub fn is_attachment(self) -> Result<bool> {
        Ok(self.flags()? & raw::FLAG_ATTACHMENT != 0)
    }

    /// How many octets it has: `raw::READ_...`.
    pub fn size(self, mode: i32) -> Result<i64> {
        size(unsafe { raw::part_size(self.0, mode) })
    }

    /// Copies octets from an offset on, and gives how many; 0 is the end.
    pub fn read(self, mode: i32, offset: i64, buf: &mut [u8]) -> Result<usize> {
        check(unsafe { raw::part_read(self.0, mode, offset, buf.as_mut_ptr(), buf.len()) }).map(|n| n as usize)
    }

    /// Its content without the transfer encoding.
    #[cfg(feature = "alloc")]
    pub fn octets(self) -> Result<Vec<u8>> {
        self.read_all(raw::READ_DECODED)
    }

    /// Its content as text, whatever its charset.
    #[cfg(feature = "alloc")]
    pub fn text(self) -> Result<String> {
        self.read_all(raw::READ_TEXT).map(into_text)
    }

    /// All of it: `raw::READ_...`.
    #[cfg(feature = "alloc")]
    pub fn read_all(self, mode: i32) -> Result<Vec<u8>> {
        read_all(self.size(mode)?, |at, p, n| unsafe { raw::part_read(self.0, mode, at, p, n) })
    }

    /// Gives it other content; the host picks the transfer encoding.
    pub fn replace(self, media_type: &str, octets: impl AsRef<[u8]>) -> Result<()> {
        let blob = Blob::of(octets)?;
        done(unsafe { raw::part_replace(self.0, media_type.as_ptr(), media_type.len(), blob.0) })
    }

    /// Makes a part below this one, at [`TOP`], [`BOTTOM`] or between.
    pub fn insert(self, index: i32, media_type: &str, filename: &str, octets: impl AsRef<[u8]>) -> Result<Part> {
        let (blob, t, f) = (Blob::of(octets)?, media_type, filename);
        check(unsafe { raw::part_insert(self.0, index, t.as_ptr(), t.len(), f.as_ptr(), f.len(), blob.0) }).map(Part)
    }

    /// Takes it out.
    pub fn remove(self) -> Result<()> {
        done(unsafe { raw::part_remove(self.0) })
    }

    /// Puts it into a new part of that type, which it gives.
    pub fn wrap(self, media_type: &str) -> Result<Part> {
        check(unsafe { raw::part_wrap(self.0, media_type.as_ptr(), media_type.len()) }).map(Part)
    }

    /// How many header fields it has.
    pub fn field_count(self) -> Result<i32> {
        check(unsafe { raw::hdr_count(self.0) })
    }

    /// The header field at a place.
    pub fn field(self, index: i32) -> Field {
        Field { part: self.0, index }
    }

    /// The first field of a name.
    pub fn find_field(self, name: &str) -> Result<Option<Field>> {
        self.find_field_from(name, 0)
    }

    /// The first field of a name at or after a place.
    pub fn find_field_from(self, name: &str, from: i32) -> Result<Option<Field>> {
        let found = check(unsafe { raw::hdr_find(self.0, name.as_ptr(), name.len(), from) });
        optional(found.map(|index| self.field(index)))
    }

    /// All header fields as they stand.
    pub fn header(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        Read(move |p, n| unsafe { raw::hdr_block(self.0, p, n) })
    }

    /// Adds a field at [`TOP`], [`BOTTOM`] or between; the host folds and
    /// encodes the value.
    pub fn insert_field(self, index: i32, name: &str, value: impl AsRef<[u8]>) -> Result<()> {
        let v = value.as_ref();
        done(unsafe { raw::hdr_insert(self.0, index, name.as_ptr(), name.len(), v.as_ptr(), v.len()) })
    }

    /// Adds a field that is folded already.
    pub fn insert_raw_field(self, index: i32, field: impl AsRef<[u8]>) -> Result<()> {
        let f = field.as_ref();
        done(unsafe { raw::hdr_insert_raw(self.0, index, f.as_ptr(), f.len()) })
    }

    /// Takes out all fields of a name, and gives how many there were.
    pub fn remove_fields(self, name: &str) -> Result<i32> {
        check(unsafe { raw::hdr_remove_all(self.0, name.as_ptr(), name.len()) })
    }
}

fn part(n: i32) -> Result<Option<Part>> {
    optional(check(n).map(Part))
}

fn size(n: i64) -> Result<i64> {
    check(n.min(0) as i32).map(|_| n)
}

/// Octets in the making, for the host; they go with the hook.
#[derive(Clone, Copy)]
pub struct Blob(pub(crate) i32);

impl Blob {
    /// An empty one.
    pub fn new() -> Result<Blob> {
        check(unsafe { raw::blob_new() }).map(Blob)
    }

    /// One with octets in it.
    pub fn of(octets: impl AsRef<[u8]>) -> Result<Blob> {
        let b = Blob::new()?;
        b.write(octets)?;
        Ok(b)
    }

    /// Adds octets.
    pub fn write(self, octets: impl AsRef<[u8]>) -> Result<()> {
        let o = octets.as_ref();
        done(unsafe { raw::blob_write(self.0, o.as_ptr(), o.len()) })
    }
}

/// How many octets the message has.
pub fn message_size() -> Result<i64> {
    size(unsafe { raw::msg_size() })
}

/// Copies octets of the message from an offset on; 0 is the end.
pub fn read_message(offset: i64, buf: &mut [u8]) -> Result<usize> {
    check(unsafe { raw::msg_read(offset, buf.as_mut_ptr(), buf.len()) }).map(|n| n as usize)
}

/// The whole message.
#[cfg(feature = "alloc")]
pub fn message() -> Result<Vec<u8>> {
    read_all(message_size()?, |at, p, n| unsafe { raw::msg_read(at, p, n) })
}

/// Puts another message in its place.
pub fn replace_message(octets: impl AsRef<[u8]>) -> Result<()> {
    done(unsafe { raw::msg_replace(Blob::of(octets)?.0) })
}
