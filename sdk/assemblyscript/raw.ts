// The functions of the host as they are: a pointer and a length are one text.

// generated from sdk/abi by `go generate ./sdk`; do not edit
@external("mta1", "abi_version")
export declare function abi_version(): i32;
@external("mta1", "has")
export declare function has(name: usize, name_len: usize): i32;
@external("mta1", "call")
export declare function call(op: usize, op_len: usize, in_: usize, in_len: usize, buf: usize, cap: usize): i32;
@external("mta1", "config")
export declare function config(buf: usize, cap: usize): i32;
@external("mta1", "log")
export declare function log(level: i32, text: usize, text_len: usize): void;
@external("mta1", "log_enabled")
export declare function log_enabled(level: i32): i32;
@external("mta1", "ctx_get")
export declare function ctx_get(key: usize, key_len: usize, buf: usize, cap: usize): i32;
@external("mta1", "ctx_json")
export declare function ctx_json(buf: usize, cap: usize): i32;
@external("mta1", "note_get")
export declare function note_get(scope: i32, key: usize, key_len: usize, buf: usize, cap: usize): i32;
@external("mta1", "note_set")
export declare function note_set(scope: i32, key: usize, key_len: usize, value: usize, value_len: usize): i32;
@external("mta1", "deadline_ms")
export declare function deadline_ms(): i32;
@external("mta1", "now_ms")
export declare function now_ms(): i64;
@external("mta1", "random")
export declare function random(buf: usize, cap: usize): i32;
@external("mta1", "sender_get")
export declare function sender_get(buf: usize, cap: usize): i32;
@external("mta1", "sender_set")
export declare function sender_set(address: usize, address_len: usize): i32;
@external("mta1", "rcpt_count")
export declare function rcpt_count(): i32;
@external("mta1", "rcpt_at")
export declare function rcpt_at(index: i32): i32;
@external("mta1", "rcpt_add")
export declare function rcpt_add(address: usize, address_len: usize): i32;
@external("mta1", "rcpt_set")
export declare function rcpt_set(id: i32, address: usize, address_len: usize): i32;
@external("mta1", "rcpt_remove")
export declare function rcpt_remove(id: i32): i32;
@external("mta1", "rcpt_get")
export declare function rcpt_get(id: i32, field: i32, buf: usize, cap: usize): i32;
@external("mta1", "rcpt_reply")
export declare function rcpt_reply(id: i32, code: i32, enhanced: usize, enhanced_len: usize, text: usize, text_len: usize): i32;
@external("mta1", "reply")
export declare function reply(code: i32, enhanced: usize, enhanced_len: usize, text: usize, text_len: usize): i32;
@external("mta1", "hdr_count")
export declare function hdr_count(part: i32): i32;
@external("mta1", "hdr_find")
export declare function hdr_find(part: i32, name: usize, name_len: usize, from_: i32): i32;
@external("mta1", "hdr_name")
export declare function hdr_name(part: i32, index: i32, buf: usize, cap: usize): i32;
@external("mta1", "hdr_value")
export declare function hdr_value(part: i32, index: i32, mode: i32, buf: usize, cap: usize): i32;
@external("mta1", "hdr_block")
export declare function hdr_block(part: i32, buf: usize, cap: usize): i32;
@external("mta1", "hdr_insert")
export declare function hdr_insert(part: i32, index: i32, name: usize, name_len: usize, value: usize, value_len: usize): i32;
@external("mta1", "hdr_insert_raw")
export declare function hdr_insert_raw(part: i32, index: i32, field: usize, field_len: usize): i32;
@external("mta1", "hdr_set")
export declare function hdr_set(part: i32, index: i32, value: usize, value_len: usize): i32;
@external("mta1", "hdr_remove")
export declare function hdr_remove(part: i32, index: i32): i32;
@external("mta1", "hdr_remove_all")
export declare function hdr_remove_all(part: i32, name: usize, name_len: usize): i32;
@external("mta1", "part_first")
export declare function part_first(id: i32): i32;
@external("mta1", "part_next")
export declare function part_next(id: i32): i32;
@external("mta1", "part_parent")
export declare function part_parent(id: i32): i32;
@external("mta1", "part_find")
export declare function part_find(type_: usize, type_len: usize, from_: i32): i32;
@external("mta1", "part_info")
export declare function part_info(id: i32, what: i32, buf: usize, cap: usize): i32;
@external("mta1", "part_flags")
export declare function part_flags(id: i32): i32;
@external("mta1", "part_size")
export declare function part_size(id: i32, mode: i32): i64;
@external("mta1", "part_read")
export declare function part_read(id: i32, mode: i32, offset: i64, buf: usize, cap: usize): i32;
@external("mta1", "blob_new")
export declare function blob_new(): i32;
@external("mta1", "blob_write")
export declare function blob_write(blob: i32, octets: usize, octets_len: usize): i32;
@external("mta1", "part_replace")
export declare function part_replace(id: i32, type_: usize, type_len: usize, blob: i32): i32;
@external("mta1", "part_insert")
export declare function part_insert(parent: i32, index: i32, type_: usize, type_len: usize, filename: usize, filename_len: usize, blob: i32): i32;
@external("mta1", "part_remove")
export declare function part_remove(id: i32): i32;
@external("mta1", "part_wrap")
export declare function part_wrap(id: i32, type_: usize, type_len: usize): i32;
@external("mta1", "msg_size")
export declare function msg_size(): i64;
@external("mta1", "msg_read")
export declare function msg_read(offset: i64, buf: usize, cap: usize): i32;
@external("mta1", "msg_replace")
export declare function msg_replace(blob: i32): i32;
@external("mta1", "route")
export declare function route(rcpt: i32, host: usize, host_len: usize, port: i32, flags: i32): i32;
@external("mta1", "deliver")
export declare function deliver(rcpt: i32, mailbox: usize, mailbox_len: usize, folder: usize, folder_len: usize, flags: usize, flags_len: usize): i32;
@external("mta1", "retry_at")
export declare function retry_at(rcpt: i32, ms: i64): i32;
@external("mta1", "quarantine")
export declare function quarantine(reason: usize, reason_len: usize): i32;
@external("mta1", "variant_new")
export declare function variant_new(ids: usize, ids_len: usize): i32;
@external("mta1", "variant_select")
export declare function variant_select(variant: i32): i32;
@external("mta1", "send")
export declare function send(sender: usize, sender_len: usize, recipients: usize, recipients_len: usize, blob: i32): i32;
@external("mta1", "kv_get")
export declare function kv_get(key: usize, key_len: usize, buf: usize, cap: usize): i32;
@external("mta1", "kv_set")
export declare function kv_set(key: usize, key_len: usize, value: usize, value_len: usize, ttl_ms: i64): i32;
@external("mta1", "kv_del")
export declare function kv_del(key: usize, key_len: usize): i32;
@external("mta1", "kv_add")
export declare function kv_add(key: usize, key_len: usize, delta: i64, ttl_ms: i64, out: usize): i32;
@external("mta1", "kv_cas")
export declare function kv_cas(key: usize, key_len: usize, old: usize, old_len: usize, new_: usize, new_len: usize, ttl_ms: i64): i32;
@external("mta1", "dns")
export declare function dns(type_: i32, name: usize, name_len: usize, buf: usize, cap: usize): i32;
@external("mta1", "counter")
export declare function counter(name: usize, name_len: usize, delta: i64): void;
@external("mta1", "observe")
export declare function observe(name: usize, name_len: usize, value: f64): void;
// end of what is generated
