//! The numbers and the functions of the host as they are. The rest of the crate
//! is made of them.

// generated from sdk/abi by `go generate ./sdk`; do not edit
pub const MAJOR: i32 = 1;
pub const MINOR: i32 = 0;
/// what abi_version answers
pub const VERSION: i32 = 65536;

impl crate::Error {
    pub const OK: Self = Self(0);
    pub const NOT_FOUND: Self = Self(-1);
    pub const BAD_ARG: Self = Self(-2);
    /// this hook cannot do that
    pub const WRONG_STAGE: Self = Self(-3);
    /// the operator did not grant it to this plugin
    pub const NOT_GRANTED: Self = Self(-4);
    /// a bound of the host is reached
    pub const LIMIT: Self = Self(-5);
    pub const TIMEOUT: Self = Self(-6);
    pub const IO: Self = Self(-7);
    pub const UNSUPPORTED: Self = Self(-8);
    /// the edit would break a signature that policy protects
    pub const SIGNED: Self = Self(-9);
    /// what is automatic is not answered automatically
    pub const LOOP: Self = Self(-10);
}

impl crate::Verdict {
    /// ask the next stage
    pub const CONTINUE: Self = Self(0);
    /// skip the stages that are left
    pub const ACCEPT: Self = Self(1);
    /// 5xx now
    pub const REJECT: Self = Self(2);
    /// 4xx now
    pub const DEFER: Self = Self(3);
    /// say 250 and drop it
    pub const DISCARD: Self = Self(4);
    /// say 250 and hold it for the operator
    pub const QUARANTINE: Self = Self(5);
    /// 421 and close
    pub const DISCONNECT: Self = Self(6);
    /// continue, and do not ask this stage again for this message
    pub const NOT_AGAIN: Self = Self(7);
}

impl crate::Level {
    pub const DEBUG: Self = Self(0);
    pub const INFO: Self = Self(1);
    pub const WARN: Self = Self(2);
    pub const ERROR: Self = Self(3);
}

/// all octets after the colon
pub const HDR_RAW: i32 = 0;
/// without line breaks and the blanks around the value (RFC 5322 §2.2.3)
pub const HDR_UNFOLDED: i32 = 1;
/// unfolded, encoded words as UTF-8 (RFC 2047)
pub const HDR_DECODED: i32 = 2;

/// above everything, our Received: too
pub const INDEX_TOP: i32 = 0;
/// below everything
pub const INDEX_BOTTOM: i32 = -1;

pub const ROOT: i32 = 0;

/// "text/plain", lower case
pub const PART_TYPE: i32 = 0;
pub const PART_CHARSET: i32 = 1;
/// as UTF-8
pub const PART_FILENAME: i32 = 2;
/// the content transfer encoding, lower case
pub const PART_ENCODING: i32 = 3;
/// "attachment", lower case
pub const PART_DISPOSITION: i32 = 4;
/// without the angle brackets
pub const PART_CONTENT_ID: i32 = 5;
/// "1.2"; empty for the message
pub const PART_PATH: i32 = 6;

pub const FLAG_MULTIPART: i32 = 1;
pub const FLAG_ATTACHMENT: i32 = 2;
pub const FLAG_INSIDE_SIGNED: i32 = 4;
pub const FLAG_MALFORMED: i32 = 8;
pub const FLAG_MODIFIED: i32 = 16;

/// header section and body, as they came
pub const READ_RAW: i32 = 0;
/// the body as it came
pub const READ_BODY: i32 = 1;
/// the body without its content transfer encoding
pub const READ_DECODED: i32 = 2;
/// the decoded body as UTF-8
pub const READ_TEXT: i32 = 3;

/// as it is now
pub const RCPT_ADDRESS: i32 = 0;
/// as RCPT gave it
pub const RCPT_ORIGINAL: i32 = 1;
/// the account whose mailbox it comes down to; known behind the queue
pub const RCPT_RESOLVED: i32 = 2;
/// "rfc822;bob@example.org"
pub const RCPT_ORCPT: i32 = 3;
/// "SUCCESS,FAILURE,DELAY" or "NEVER"
pub const RCPT_NOTIFY: i32 = 4;
/// the outcome of the last attempt, "deferred"; known behind the queue
pub const RCPT_STATUS: i32 = 5;
/// what the last attempt heard, "450 4.2.0 Busy"; known behind the queue
pub const RCPT_REPLY: i32 = 6;

pub const ALL_RECIPIENTS: i32 = -1;

pub const ROUTE_REQUIRE_TLS: i32 = 1;
pub const ROUTE_NO_MX: i32 = 2;

pub const SCOPE_CONNECTION: i32 = 0;
pub const SCOPE_TRANSACTION: i32 = 1;
pub const SCOPE_QUEUED: i32 = 2;

#[link(wasm_import_module = "mta1")]
extern "C" {
    pub fn abi_version() -> i32;
    pub fn has(name: *const u8, name_len: usize) -> i32;
    pub fn call(op: *const u8, op_len: usize, in_: *const u8, in_len: usize, buf: *mut u8, cap: usize) -> i32;
    pub fn config(buf: *mut u8, cap: usize) -> i32;
    pub fn log(level: i32, text: *const u8, text_len: usize);
    pub fn log_enabled(level: i32) -> i32;
    pub fn ctx_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    pub fn ctx_json(buf: *mut u8, cap: usize) -> i32;
    pub fn note_get(scope: i32, key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    pub fn note_set(scope: i32, key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> i32;
    pub fn deadline_ms() -> i32;
    pub fn now_ms() -> i64;
    pub fn random(buf: *mut u8, cap: usize) -> i32;
    pub fn sender_get(buf: *mut u8, cap: usize) -> i32;
    pub fn sender_set(address: *const u8, address_len: usize) -> i32;
    pub fn rcpt_count() -> i32;
    pub fn rcpt_at(index: i32) -> i32;
    pub fn rcpt_add(address: *const u8, address_len: usize) -> i32;
    pub fn rcpt_set(id: i32, address: *const u8, address_len: usize) -> i32;
    pub fn rcpt_remove(id: i32) -> i32;
    pub fn rcpt_get(id: i32, field: i32, buf: *mut u8, cap: usize) -> i32;
    pub fn rcpt_reply(id: i32, code: i32, enhanced: *const u8, enhanced_len: usize, text: *const u8, text_len: usize) -> i32;
    pub fn reply(code: i32, enhanced: *const u8, enhanced_len: usize, text: *const u8, text_len: usize) -> i32;
    pub fn hdr_count(part: i32) -> i32;
    pub fn hdr_find(part: i32, name: *const u8, name_len: usize, from: i32) -> i32;
    pub fn hdr_name(part: i32, index: i32, buf: *mut u8, cap: usize) -> i32;
    pub fn hdr_value(part: i32, index: i32, mode: i32, buf: *mut u8, cap: usize) -> i32;
    pub fn hdr_block(part: i32, buf: *mut u8, cap: usize) -> i32;
    pub fn hdr_insert(part: i32, index: i32, name: *const u8, name_len: usize, value: *const u8, value_len: usize) -> i32;
    pub fn hdr_insert_raw(part: i32, index: i32, field: *const u8, field_len: usize) -> i32;
    pub fn hdr_set(part: i32, index: i32, value: *const u8, value_len: usize) -> i32;
    pub fn hdr_remove(part: i32, index: i32) -> i32;
    pub fn hdr_remove_all(part: i32, name: *const u8, name_len: usize) -> i32;
    pub fn part_first(id: i32) -> i32;
    pub fn part_next(id: i32) -> i32;
    pub fn part_parent(id: i32) -> i32;
    pub fn part_find(type_: *const u8, type_len: usize, from: i32) -> i32;
    pub fn part_info(id: i32, what: i32, buf: *mut u8, cap: usize) -> i32;
    pub fn part_flags(id: i32) -> i32;
    pub fn part_size(id: i32, mode: i32) -> i64;
    pub fn part_read(id: i32, mode: i32, offset: i64, buf: *mut u8, cap: usize) -> i32;
    pub fn blob_new() -> i32;
    pub fn blob_write(blob: i32, octets: *const u8, octets_len: usize) -> i32;
    pub fn part_replace(id: i32, type_: *const u8, type_len: usize, blob: i32) -> i32;
    pub fn part_insert(parent: i32, index: i32, type_: *const u8, type_len: usize, filename: *const u8, filename_len: usize, blob: i32) -> i32;
    pub fn part_remove(id: i32) -> i32;
    pub fn part_wrap(id: i32, type_: *const u8, type_len: usize) -> i32;
    pub fn msg_size() -> i64;
    pub fn msg_read(offset: i64, buf: *mut u8, cap: usize) -> i32;
    pub fn msg_replace(blob: i32) -> i32;
    pub fn route(rcpt: i32, host: *const u8, host_len: usize, port: i32, flags: i32) -> i32;
    pub fn deliver(rcpt: i32, mailbox: *const u8, mailbox_len: usize, folder: *const u8, folder_len: usize, flags: *const u8, flags_len: usize) -> i32;
    pub fn retry_at(rcpt: i32, ms: i64) -> i32;
    pub fn quarantine(reason: *const u8, reason_len: usize) -> i32;
    pub fn variant_new(ids: *const u8, ids_len: usize) -> i32;
    pub fn variant_select(variant: i32) -> i32;
    pub fn send(sender: *const u8, sender_len: usize, recipients: *const u8, recipients_len: usize, blob: i32) -> i32;
    pub fn kv_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    pub fn kv_set(key: *const u8, key_len: usize, value: *const u8, value_len: usize, ttl_ms: i64) -> i32;
    pub fn kv_del(key: *const u8, key_len: usize) -> i32;
    pub fn kv_add(key: *const u8, key_len: usize, delta: i64, ttl_ms: i64, out: *mut i64) -> i32;
    pub fn kv_cas(key: *const u8, key_len: usize, old: *const u8, old_len: usize, new: *const u8, new_len: usize, ttl_ms: i64) -> i32;
    pub fn dns(type_: i32, name: *const u8, name_len: usize, buf: *mut u8, cap: usize) -> i32;
    pub fn counter(name: *const u8, name_len: usize, delta: i64);
    pub fn observe(name: *const u8, name_len: usize, value: f64);
}
// end of what is generated
