use crate::{check, done, raw, Read, Result};

/// The reverse-path; the null one is empty.
pub fn sender() -> Read<impl Fn(*mut u8, usize) -> i32> {
    Read(|p, n| unsafe { raw::sender_get(p, n) })
}

/// Sets the reverse-path.
pub fn set_sender(address: &str) -> Result<()> {
    done(unsafe { raw::sender_set(address.as_ptr(), address.len()) })
}

/// One forward-path of the envelope. It stays the same when others go.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Recipient(i32);

/// All recipients, for [`Recipient::route`], [`Recipient::deliver`] and
/// [`Recipient::retry_at`].
pub const EVERYONE: Recipient = Recipient(raw::ALL_RECIPIENTS);

/// Goes over the recipients. Those that are removed on the way are skipped, as
/// long as it is only the one just given.
pub fn recipients() -> Recipients {
    Recipients { next: 0, last: None }
}

/// See [`recipients`].
pub struct Recipients {
    next: i32,
    last: Option<Recipient>,
}

impl Iterator for Recipients {
    type Item = Recipient;

    fn next(&mut self) -> Option<Recipient> {
        let at = |i| check(unsafe { raw::rcpt_at(i) }).ok().map(Recipient);
        if let Some(last) = self.last {
            if at(self.next) == Some(last) {
                self.next += 1; // it is still there
            }
        }
        self.last = at(self.next);
        self.last
    }
}

/// How many recipients there are.
pub fn recipient_count() -> Result<i32> {
    check(unsafe { raw::rcpt_count() })
}

/// Adds a recipient.
pub fn add_recipient(address: &str) -> Result<Recipient> {
    check(unsafe { raw::rcpt_add(address.as_ptr(), address.len()) }).map(Recipient)
}

/// What host and port [`Recipient::route`] may have beside.
#[derive(Clone, Copy, Default)]
pub struct Hop {
    /// Zero is 25.
    pub port: u16,
    /// Without TLS there is no attempt.
    pub require_tls: bool,
    /// The name is a host and no mail domain.
    pub no_mx: bool,
}

impl Recipient {
    /// The number that the host knows it by.
    pub fn id(self) -> i32 {
        self.0
    }

    /// The address as it is now.
    pub fn address(self) -> Read<impl Fn(*mut u8, usize) -> i32> {
        self.get(raw::RCPT_ADDRESS)
    }

    /// A field of it: `raw::RCPT_...`.
    pub fn get(self, field: i32) -> Read<impl Fn(*mut u8, usize) -> i32> {
        Read(move |p, n| unsafe { raw::rcpt_get(self.0, field, p, n) })
    }

    /// Gives it another address.
    pub fn set(self, address: &str) -> Result<()> {
        done(unsafe { raw::rcpt_set(self.0, address.as_ptr(), address.len()) })
    }

    /// Takes it out of the envelope.
    pub fn remove(self) -> Result<()> {
        done(unsafe { raw::rcpt_remove(self.0) })
    }

    /// Refuses this recipient alone, with a code of 400 to 599.
    pub fn refuse(self, code: i32, enhanced: &str, text: &str) -> Result<()> {
        let (e, t) = (enhanced, text);
        done(unsafe { raw::rcpt_reply(self.0, code, e.as_ptr(), e.len(), t.as_ptr(), t.len()) })
    }

    /// Says which host it is sent to.
    pub fn route(self, host: &str, hop: Hop) -> Result<()> {
        let tls = if hop.require_tls { raw::ROUTE_REQUIRE_TLS } else { 0 };
        let mx = if hop.no_mx { raw::ROUTE_NO_MX } else { 0 };
        done(unsafe { raw::route(self.0, host.as_ptr(), host.len(), hop.port as i32, tls | mx) })
    }

    /// Keeps its message in a mailbox here.
    pub fn deliver(self, mailbox: &str, folder: &str, flags: &str) -> Result<()> {
        let (m, d, f) = (mailbox, folder, flags);
        done(unsafe { raw::deliver(self.0, m.as_ptr(), m.len(), d.as_ptr(), d.len(), f.as_ptr(), f.len()) })
    }

    /// Says when it is tried again, in milliseconds since 1970.
    pub fn retry_at(self, ms: i64) -> Result<()> {
        done(unsafe { raw::retry_at(self.0, ms) })
    }
}

/// A copy of the message for some recipients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Variant(i32);

impl Variant {
    /// The message of those who are in no variant.
    pub const MAIN: Variant = Variant(0);

    /// Makes a copy for those recipients.
    pub fn new(recipients: &[Recipient]) -> Result<Variant> {
        // A Recipient is an i32, as the host reads them.
        let n = recipients.len() * core::mem::size_of::<Recipient>();
        check(unsafe { raw::variant_new(recipients.as_ptr() as *const u8, n) }).map(Variant)
    }

    /// Later changes are of this copy.
    pub fn select(self) -> Result<()> {
        done(unsafe { raw::variant_select(self.0) })
    }
}
