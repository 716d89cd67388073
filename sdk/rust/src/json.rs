//! JSON that the host made: the configuration, or the context. A [`Value`] is
//! a piece of its text, and nothing is decoded until it is asked for.
//!
//! ```ignore
//! let text = mta::config().text()?;
//! let config = mta::json::Value::new(&text);
//! let greeting = config.get("greeting").and_then(|v| v.text());
//! ```

#[cfg(feature = "alloc")]
use alloc::string::String;

/// A value, or a key, in JSON text.
#[derive(Clone, Copy)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The value that the text is.
    pub fn new(text: &'a str) -> Self {
        Value(text.trim())
    }

    /// The value as it stands there.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// The value of a key of an object; nothing if there is none or it is null.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        let found = self.items().find(|(k, _)| k.map_or(false, |k| k.is(key)))?.1;
        if found.0 == "null" {
            return None;
        }
        Some(found)
    }

    /// The values of an array or an object, with the keys of the latter.
    pub fn items(self) -> Items<'a> {
        match self.0.as_bytes().first() {
            Some(b'{') | Some(b'[') => Items(self.0[1..].trim_start()),
            _ => Items(""),
        }
    }

    /// The characters of a string.
    pub fn chars(self) -> Option<Chars<'a>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Chars(inside.chars()))
    }

    /// Tells whether it is that string.
    pub fn is(self, text: &str) -> bool {
        self.chars().map_or(false, |c| c.eq(text.chars()))
    }

    /// The string that it is.
    #[cfg(feature = "alloc")]
    pub fn text(self) -> Option<String> {
        self.chars().map(|c| c.collect())
    }

    /// The integer that it is.
    pub fn integer(self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The truth value that it is.
    pub fn boolean(self) -> Option<bool> {
        self.0.parse().ok()
    }
}

/// See [`Value::items`].
pub struct Items<'a>(&'a str);

impl<'a> Iterator for Items<'a> {
    type Item = (Option<Value<'a>>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.strip_prefix(',').unwrap_or(self.0).trim_start();
        if rest.is_empty() || rest.starts_with(|c| c == '}' || c == ']') {
            return None;
        }
        let (mut value, mut rest) = rest.split_at(end(rest));
        let mut key = None;
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(':') {
            key = Some(Value(value));
            let after = after.trim_start();
            let (v, r) = after.split_at(end(after));
            value = v;
            rest = r.trim_start();
        }
        self.0 = rest;
        Some((key, Value(value)))
    }
}

/// Where the value that the text begins with ends.
fn end(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (i, c) in text.bytes().enumerate() {
        if quoted {
            match c {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    quoted = false;
                    if depth == 0 {
                        return i + 1;
                    }
                }
                _ => {}
            }
            continue;
        }
        match c {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return i,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return i,
            _ => {}
        }
    }
    text.len()
}

/// The characters of a string, without its escapes.
pub struct Chars<'a>(core::str::Chars<'a>);

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '\\' => Some(match self.0.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.unicode(),
                c => c,
            }),
            c => Some(c),
        }
    }
}

impl Chars<'_> {
    fn unicode(&mut self) -> char {
        let high = hex(&mut self.0);
        if high & 0xFC00 == 0xD800 {
            let mut ahead = self.0.clone();
            if ahead.next() == Some('\\') && ahead.next() == Some('u') {
                let low = hex(&mut ahead);
                if low & 0xFC00 == 0xDC00 {
                    self.0 = ahead;
                    let c = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    return char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

fn hex(chars: &mut core::str::Chars) -> u32 {
    chars.take(4).fold(0, |n, c| n << 4 | c.to_digit(16).unwrap_or(0))
}
