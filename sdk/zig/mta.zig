// generated from sdk/abi by `go generate ./sdk`; do not edit
pub const major: i32 = 1;
pub const minor: i32 = 0;
/// what abi_version answers
pub const version: i32 = 65536;

/// What a function of the host can answer instead of a result.
pub const Error = error{
    NotFound,
    BadArg,
    /// this hook cannot do that
    WrongStage,
    /// the operator did not grant it to this plugin
    NotGranted,
    /// a bound of the host is reached
    Limit,
    Timeout,
    Io,
    Unsupported,
    /// the edit would break a signature that policy protects
    Signed,
    /// what is automatic is not answered automatically
    Loop,
    /// A number that this SDK does not know.
    Unknown,
};

fn failure(n: i64) Error {
    return switch (n) {
        -1 => Error.NotFound,
        -2 => Error.BadArg,
        -3 => Error.WrongStage,
        -4 => Error.NotGranted,
        -5 => Error.Limit,
        -6 => Error.Timeout,
        -7 => Error.Io,
        -8 => Error.Unsupported,
        -9 => Error.Signed,
        -10 => Error.Loop,
        else => Error.Unknown,
    };
}

/// Verdict of the host.
pub const Verdict = enum(i32) {
    /// ask the next stage
    @"continue" = 0,
    /// skip the stages that are left
    accept = 1,
    /// 5xx now
    reject = 2,
    /// 4xx now
    @"defer" = 3,
    /// say 250 and drop it
    discard = 4,
    /// say 250 and hold it for the operator
    quarantine = 5,
    /// 421 and close
    disconnect = 6,
    /// continue, and do not ask this stage again for this message
    not_again = 7,
    _,
};

/// Verdict of the host.
pub const Verdict = enum(i32) {
    last_verdict = 7,
    _,
};

/// Level of the host.
pub const Level = enum(i32) {
    debug = 0,
    info = 1,
    warn = 2,
    @"error" = 3,
    _,
};

/// all octets after the colon
pub const hdr_raw: i32 = 0;
/// without line breaks and the blanks around the value (RFC 5322 §2.2.3)
pub const hdr_unfolded: i32 = 1;
/// unfolded, encoded words as UTF-8 (RFC 2047)
pub const hdr_decoded: i32 = 2;

/// above everything, our Received: too
pub const index_top: i32 = 0;
/// below everything
pub const index_bottom: i32 = -1;

pub const root: i32 = 0;

/// "text/plain", lower case
pub const part_type: i32 = 0;
pub const part_charset: i32 = 1;
/// as UTF-8
pub const part_filename: i32 = 2;
/// the content transfer encoding, lower case
pub const part_encoding: i32 = 3;
/// "attachment", lower case
pub const part_disposition: i32 = 4;
/// without the angle brackets
pub const part_content_id: i32 = 5;
/// "1.2"; empty for the message
pub const part_path: i32 = 6;

pub const flag_multipart: i32 = 1;
pub const flag_attachment: i32 = 2;
pub const flag_inside_signed: i32 = 4;
pub const flag_malformed: i32 = 8;
pub const flag_modified: i32 = 16;

/// header section and body, as they came
pub const read_raw: i32 = 0;
/// the body as it came
pub const read_body: i32 = 1;
/// the body without its content transfer encoding
pub const read_decoded: i32 = 2;
/// the decoded body as UTF-8
pub const read_text: i32 = 3;

/// as it is now
pub const rcpt_address: i32 = 0;
/// as RCPT gave it
pub const rcpt_original: i32 = 1;
/// where its mail goes, "smtp://mx.example.org:25"; known in the queue
pub const rcpt_next_hop: i32 = 2;
/// "rfc822;bob@example.org"
pub const rcpt_orcpt: i32 = 3;
/// "SUCCESS,FAILURE,DELAY" or "NEVER"
pub const rcpt_notify: i32 = 4;
/// of the last attempt, "deferred"; known in the queue
pub const rcpt_outcome: i32 = 5;
/// of the last attempt, "450 4.2.0 Busy"; known in the queue
pub const rcpt_last_reply: i32 = 6;

pub const all_recipients: i32 = -1;

pub const route_require_tls: i32 = 1;
pub const route_no_mx: i32 = 2;

pub const scope_connection: i32 = 0;
pub const scope_transaction: i32 = 1;
pub const scope_queued: i32 = 2;

/// The host's functions as they are: negative results are errors.
pub const raw = struct {
    pub extern "mta1" fn abi_version() i32;
    pub extern "mta1" fn has(name: [*]const u8, name_len: usize) i32;
    pub extern "mta1" fn call(op: [*]const u8, op_len: usize, in: [*]const u8, in_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn config(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn log(level: i32, text: [*]const u8, text_len: usize) void;
    pub extern "mta1" fn log_enabled(level: i32) i32;
    pub extern "mta1" fn ctx_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn ctx_json(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn note_get(scope: i32, key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn note_set(scope: i32, key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn deadline_ms() i32;
    pub extern "mta1" fn now_ms() i64;
    pub extern "mta1" fn random(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn sender_get(buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn sender_set(address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_count() i32;
    pub extern "mta1" fn rcpt_at(index: i32) i32;
    pub extern "mta1" fn rcpt_add(address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_set(id_: i32, address: [*]const u8, address_len: usize) i32;
    pub extern "mta1" fn rcpt_remove(id_: i32) i32;
    pub extern "mta1" fn rcpt_get(id_: i32, field: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn rcpt_reply(id_: i32, code: i32, enhanced: [*]const u8, enhanced_len: usize, text: [*]const u8, text_len: usize) i32;
    pub extern "mta1" fn reply(code: i32, enhanced: [*]const u8, enhanced_len: usize, text: [*]const u8, text_len: usize) i32;
    pub extern "mta1" fn hdr_count(part: i32) i32;
    pub extern "mta1" fn hdr_find(part: i32, name: [*]const u8, name_len: usize, from: i32) i32;
    pub extern "mta1" fn hdr_name(part: i32, index: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_value(part: i32, index: i32, mode: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_block(part: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn hdr_insert(part: i32, index: i32, name: [*]const u8, name_len: usize, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn hdr_insert_raw(part: i32, index: i32, field: [*]const u8, field_len: usize) i32;
    pub extern "mta1" fn hdr_set(part: i32, index: i32, value: [*]const u8, value_len: usize) i32;
    pub extern "mta1" fn hdr_remove(part: i32, index: i32) i32;
    pub extern "mta1" fn hdr_remove_all(part: i32, name: [*]const u8, name_len: usize) i32;
    pub extern "mta1" fn part_first(id_: i32) i32;
    pub extern "mta1" fn part_next(id_: i32) i32;
    pub extern "mta1" fn part_parent(id_: i32) i32;
    pub extern "mta1" fn part_find(type_: [*]const u8, type_len: usize, from: i32) i32;
    pub extern "mta1" fn part_info(id_: i32, what: i32, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn part_flags(id_: i32) i32;
    pub extern "mta1" fn part_size(id_: i32, mode: i32) i64;
    pub extern "mta1" fn part_read(id_: i32, mode: i32, offset: i64, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn blob_new() i32;
    pub extern "mta1" fn blob_write(blob: i32, octets: [*]const u8, octets_len: usize) i32;
    pub extern "mta1" fn part_replace(id_: i32, type_: [*]const u8, type_len: usize, blob: i32) i32;
    pub extern "mta1" fn part_insert(parent: i32, index: i32, type_: [*]const u8, type_len: usize, filename: [*]const u8, filename_len: usize, blob: i32) i32;
    pub extern "mta1" fn part_remove(id_: i32) i32;
    pub extern "mta1" fn part_wrap(id_: i32, type_: [*]const u8, type_len: usize) i32;
    pub extern "mta1" fn msg_size() i64;
    pub extern "mta1" fn msg_read(offset: i64, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn msg_replace(blob: i32) i32;
    pub extern "mta1" fn route(rcpt: i32, host: [*]const u8, host_len: usize, port: i32, flags: i32) i32;
    pub extern "mta1" fn deliver(rcpt: i32, mailbox: [*]const u8, mailbox_len: usize, folder: [*]const u8, folder_len: usize, flags: [*]const u8, flags_len: usize) i32;
    pub extern "mta1" fn retry_at(rcpt: i32, ms: i64) i32;
    pub extern "mta1" fn quarantine(reason: [*]const u8, reason_len: usize) i32;
    pub extern "mta1" fn variant_new(ids: [*]const u8, ids_len: usize) i32;
    pub extern "mta1" fn variant_select(variant: i32) i32;
    pub extern "mta1" fn send(sender: [*]const u8, sender_len: usize, recipients: [*]const u8, recipients_len: usize, blob: i32) i32;
    pub extern "mta1" fn kv_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn kv_set(key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32;
    pub extern "mta1" fn kv_del(key: [*]const u8, key_len: usize) i32;
    pub extern "mta1" fn kv_add(key: [*]const u8, key_len: usize, delta: i64, ttl_ms: i64, out: *i64) i32;
    pub extern "mta1" fn kv_cas(key: [*]const u8, key_len: usize, old: [*]const u8, old_len: usize, new: [*]const u8, new_len: usize, ttl_ms: i64) i32;
    pub extern "mta1" fn dns(type_: i32, name: [*]const u8, name_len: usize, buf: [*]u8, cap: usize) i32;
    pub extern "mta1" fn counter(name: [*]const u8, name_len: usize, delta: i64) void;
    pub extern "mta1" fn observe(name: [*]const u8, name_len: usize, value: f64) void;
};
// end of what is generated
