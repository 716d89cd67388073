// mta.h is what a plugin of mta is written with in C (C11) and C++ (C++17; see
// mta.hpp too). It needs no library: functions write into memory that you
// give them, and nothing is allocated.
//
//	#include "mta.h"
//
//	MTA_HOOK(on_message) {
//		mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Hello"), MTA_S("from C"));
//		return MTA_CONTINUE;
//	}
//
// `mta plugin build` compiles a folder with it; by hand it is
//
//	clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--stack-first -o hello.wasm plugin.c
//	clang --target=wasm32 -nostdlib -mbulk-memory -O2 -Wl,--no-entry,--stack-first -o hello.wasm plugin.c
//
// Functions have negative results for what goes wrong (MTA_ERR_...). Those that
// give text take a buffer and its capacity, and return the full length: they
// write only if it fits. MTA_ROOM and mta_take do that with an arena.
//
// What a hook changes counts if it returns a verdict, and is undone if it
// traps, takes too long, or returns something else (mta_fail). By default no
// variable keeps its value from one message to the next.
#ifndef MTA_H
#define MTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define MTA_EXTERN extern "C"
#else
#define MTA_EXTERN extern
#endif

#define MTA_IMPORT(name) MTA_EXTERN __attribute__((import_module("mta1"), import_name(#name)))

// MTA_HOOK begins a hook: on_load, on_message and the others of sdk/ABI.md. What
// a module exports is what it is asked.
#ifdef __cplusplus
#define MTA_HOOK(name) extern "C" __attribute__((export_name(#name))) int32_t name(void)
#else
#define MTA_HOOK(name) __attribute__((export_name(#name))) int32_t name(void)
#endif

// generated from sdk/abi by `go generate ./sdk`; do not edit
// The version of the ABI. A minor version only adds functions.
enum {
	MTA_MAJOR = 1,
	MTA_MINOR = 0,
	MTA_VERSION = 65536, // what abi_version answers
};

enum {
	MTA_ERR_OK = 0,
	MTA_ERR_NOT_FOUND = -1,
	MTA_ERR_BAD_ARG = -2,
	MTA_ERR_WRONG_STAGE = -3, // this hook cannot do that
	MTA_ERR_NOT_GRANTED = -4, // the operator did not grant it to this plugin
	MTA_ERR_LIMIT = -5, // a bound of the host is reached
	MTA_ERR_TIMEOUT = -6,
	MTA_ERR_IO = -7,
	MTA_ERR_UNSUPPORTED = -8,
	MTA_ERR_SIGNED = -9, // the edit would break a signature that policy protects
	MTA_ERR_LOOP = -10, // what is automatic is not answered automatically
};

enum {
	MTA_CONTINUE = 0, // ask the next stage
	MTA_ACCEPT = 1, // skip the stages that are left
	MTA_REJECT = 2, // 5xx now
	MTA_DEFER = 3, // 4xx now
	MTA_DISCARD = 4, // say 250 and drop it
	MTA_QUARANTINE = 5, // say 250 and hold it for the operator
	MTA_DISCONNECT = 6, // 421 and close
	MTA_NOT_AGAIN = 7, // continue, and do not ask this stage again for this message
};

enum {
	MTA_LEVEL_DEBUG = 0,
	MTA_LEVEL_INFO = 1,
	MTA_LEVEL_WARN = 2,
	MTA_LEVEL_ERROR = 3,
};

// Modes of hdr_value.
enum {
	MTA_HDR_RAW = 0, // all octets after the colon
	MTA_HDR_UNFOLDED = 1, // without line breaks and the blanks around the value (RFC 5322 §2.2.3)
	MTA_HDR_DECODED = 2, // unfolded, encoded words as UTF-8 (RFC 2047)
};

// What hdr_insert's and part_insert's index can say beside a place.
enum {
	MTA_INDEX_TOP = 0, // above everything, our Received: too
	MTA_INDEX_BOTTOM = -1, // below everything
};

// Root is the part that is the message itself.
enum {
	MTA_ROOT = 0,
};

// What part_info tells of a part.
enum {
	MTA_PART_TYPE = 0, // "text/plain", lower case
	MTA_PART_CHARSET = 1,
	MTA_PART_FILENAME = 2, // as UTF-8
	MTA_PART_ENCODING = 3, // the content transfer encoding, lower case
	MTA_PART_DISPOSITION = 4, // "attachment", lower case
	MTA_PART_CONTENT_ID = 5, // without the angle brackets
	MTA_PART_PATH = 6, // "1.2"; empty for the message
};

// Flags of part_flags.
enum {
	MTA_FLAG_MULTIPART = 1,
	MTA_FLAG_ATTACHMENT = 2,
	MTA_FLAG_INSIDE_SIGNED = 4,
	MTA_FLAG_MALFORMED = 8,
	MTA_FLAG_MODIFIED = 16,
};

// Modes of part_read and part_size.
enum {
	MTA_READ_RAW = 0, // header section and body, as they came
	MTA_READ_BODY = 1, // the body as it came
	MTA_READ_DECODED = 2, // the body without its content transfer encoding
	MTA_READ_TEXT = 3, // the decoded body as UTF-8
};

// Fields of rcpt_get.
enum {
	MTA_RCPT_ADDRESS = 0, // as it is now
	MTA_RCPT_ORIGINAL = 1, // as RCPT gave it
	MTA_RCPT_RESOLVED = 2, // the account whose mailbox it comes down to; known behind the queue
	MTA_RCPT_ORCPT = 3, // "rfc822;bob@example.org"
	MTA_RCPT_NOTIFY = 4, // "SUCCESS,FAILURE,DELAY" or "NEVER"
	MTA_RCPT_STATUS = 5, // the outcome of the last attempt, "deferred"; known behind the queue
	MTA_RCPT_REPLY = 6, // what the last attempt heard, "450 4.2.0 Busy"; known behind the queue
};

// AllRecipients is what route and deliver take for all recipients.
enum {
	MTA_ALL_RECIPIENTS = -1,
};

// Flags of route.
enum {
	MTA_ROUTE_REQUIRE_TLS = 1,
	MTA_ROUTE_NO_MX = 2,
};

// Scopes of notes.
enum {
	MTA_SCOPE_CONNECTION = 0,
	MTA_SCOPE_TRANSACTION = 1,
	MTA_SCOPE_QUEUED = 2,
};

MTA_IMPORT(abi_version) int32_t mta_raw_abi_version(void);
MTA_IMPORT(has) int32_t mta_raw_has(const void *name, size_t name_len);
MTA_IMPORT(call) int32_t mta_raw_call(const void *op, size_t op_len, const void *in, size_t in_len, void *buf, size_t cap);
MTA_IMPORT(config) int32_t mta_raw_config(void *buf, size_t cap);
MTA_IMPORT(log) void mta_raw_log(int32_t level, const void *text, size_t text_len);
MTA_IMPORT(log_enabled) int32_t mta_raw_log_enabled(int32_t level);
MTA_IMPORT(ctx_get) int32_t mta_raw_ctx_get(const void *key, size_t key_len, void *buf, size_t cap);
MTA_IMPORT(ctx_json) int32_t mta_raw_ctx_json(void *buf, size_t cap);
MTA_IMPORT(note_get) int32_t mta_raw_note_get(int32_t scope, const void *key, size_t key_len, void *buf, size_t cap);
MTA_IMPORT(note_set) int32_t mta_raw_note_set(int32_t scope, const void *key, size_t key_len, const void *value, size_t value_len);
MTA_IMPORT(deadline_ms) int32_t mta_raw_deadline_ms(void);
MTA_IMPORT(now_ms) int64_t mta_raw_now_ms(void);
MTA_IMPORT(random) int32_t mta_raw_random(void *buf, size_t cap);
MTA_IMPORT(sender_get) int32_t mta_raw_sender_get(void *buf, size_t cap);
MTA_IMPORT(sender_set) int32_t mta_raw_sender_set(const void *address, size_t address_len);
MTA_IMPORT(rcpt_count) int32_t mta_raw_rcpt_count(void);
MTA_IMPORT(rcpt_at) int32_t mta_raw_rcpt_at(int32_t index);
MTA_IMPORT(rcpt_add) int32_t mta_raw_rcpt_add(const void *address, size_t address_len);
MTA_IMPORT(rcpt_set) int32_t mta_raw_rcpt_set(int32_t id, const void *address, size_t address_len);
MTA_IMPORT(rcpt_remove) int32_t mta_raw_rcpt_remove(int32_t id);
MTA_IMPORT(rcpt_get) int32_t mta_raw_rcpt_get(int32_t id, int32_t field, void *buf, size_t cap);
MTA_IMPORT(rcpt_reply) int32_t mta_raw_rcpt_reply(int32_t id, int32_t code, const void *enhanced, size_t enhanced_len, const void *text, size_t text_len);
MTA_IMPORT(reply) int32_t mta_raw_reply(int32_t code, const void *enhanced, size_t enhanced_len, const void *text, size_t text_len);
MTA_IMPORT(hdr_count) int32_t mta_raw_hdr_count(int32_t part);
MTA_IMPORT(hdr_find) int32_t mta_raw_hdr_find(int32_t part, const void *name, size_t name_len, int32_t from);
MTA_IMPORT(hdr_name) int32_t mta_raw_hdr_name(int32_t part, int32_t index, void *buf, size_t cap);
MTA_IMPORT(hdr_value) int32_t mta_raw_hdr_value(int32_t part, int32_t index, int32_t mode, void *buf, size_t cap);
MTA_IMPORT(hdr_block) int32_t mta_raw_hdr_block(int32_t part, void *buf, size_t cap);
MTA_IMPORT(hdr_insert) int32_t mta_raw_hdr_insert(int32_t part, int32_t index, const void *name, size_t name_len, const void *value, size_t value_len);
MTA_IMPORT(hdr_insert_raw) int32_t mta_raw_hdr_insert_raw(int32_t part, int32_t index, const void *field, size_t field_len);
MTA_IMPORT(hdr_set) int32_t mta_raw_hdr_set(int32_t part, int32_t index, const void *value, size_t value_len);
MTA_IMPORT(hdr_remove) int32_t mta_raw_hdr_remove(int32_t part, int32_t index);
MTA_IMPORT(hdr_remove_all) int32_t mta_raw_hdr_remove_all(int32_t part, const void *name, size_t name_len);
MTA_IMPORT(part_first) int32_t mta_raw_part_first(int32_t id);
MTA_IMPORT(part_next) int32_t mta_raw_part_next(int32_t id);
MTA_IMPORT(part_parent) int32_t mta_raw_part_parent(int32_t id);
MTA_IMPORT(part_find) int32_t mta_raw_part_find(const void *type, size_t type_len, int32_t from);
MTA_IMPORT(part_info) int32_t mta_raw_part_info(int32_t id, int32_t what, void *buf, size_t cap);
MTA_IMPORT(part_flags) int32_t mta_raw_part_flags(int32_t id);
MTA_IMPORT(part_size) int64_t mta_raw_part_size(int32_t id, int32_t mode);
MTA_IMPORT(part_read) int32_t mta_raw_part_read(int32_t id, int32_t mode, int64_t offset, void *buf, size_t cap);
MTA_IMPORT(blob_new) int32_t mta_raw_blob_new(void);
MTA_IMPORT(blob_write) int32_t mta_raw_blob_write(int32_t blob, const void *octets, size_t octets_len);
MTA_IMPORT(part_replace) int32_t mta_raw_part_replace(int32_t id, const void *type, size_t type_len, int32_t blob);
MTA_IMPORT(part_insert) int32_t mta_raw_part_insert(int32_t parent, int32_t index, const void *type, size_t type_len, const void *filename, size_t filename_len, int32_t blob);
MTA_IMPORT(part_remove) int32_t mta_raw_part_remove(int32_t id);
MTA_IMPORT(part_wrap) int32_t mta_raw_part_wrap(int32_t id, const void *type, size_t type_len);
MTA_IMPORT(msg_size) int64_t mta_raw_msg_size(void);
MTA_IMPORT(msg_read) int32_t mta_raw_msg_read(int64_t offset, void *buf, size_t cap);
MTA_IMPORT(msg_replace) int32_t mta_raw_msg_replace(int32_t blob);
MTA_IMPORT(route) int32_t mta_raw_route(int32_t rcpt, const void *host, size_t host_len, int32_t port, int32_t flags);
MTA_IMPORT(deliver) int32_t mta_raw_deliver(int32_t rcpt, const void *mailbox, size_t mailbox_len, const void *folder, size_t folder_len, const void *flags, size_t flags_len);
MTA_IMPORT(retry_at) int32_t mta_raw_retry_at(int32_t rcpt, int64_t ms);
MTA_IMPORT(quarantine) int32_t mta_raw_quarantine(const void *reason, size_t reason_len);
MTA_IMPORT(variant_new) int32_t mta_raw_variant_new(const void *ids, size_t ids_len);
MTA_IMPORT(variant_select) int32_t mta_raw_variant_select(int32_t variant);
MTA_IMPORT(send) int32_t mta_raw_send(const void *sender, size_t sender_len, const void *recipients, size_t recipients_len, int32_t blob);
MTA_IMPORT(kv_get) int32_t mta_raw_kv_get(const void *key, size_t key_len, void *buf, size_t cap);
MTA_IMPORT(kv_set) int32_t mta_raw_kv_set(const void *key, size_t key_len, const void *value, size_t value_len, int64_t ttl_ms);
MTA_IMPORT(kv_del) int32_t mta_raw_kv_del(const void *key, size_t key_len);
MTA_IMPORT(kv_add) int32_t mta_raw_kv_add(const void *key, size_t key_len, int64_t delta, int64_t ttl_ms, int64_t *out);
MTA_IMPORT(kv_cas) int32_t mta_raw_kv_cas(const void *key, size_t key_len, const void *old, size_t old_len, const void *new_, size_t new_len, int64_t ttl_ms);
MTA_IMPORT(dns) int32_t mta_raw_dns(int32_t type, const void *name, size_t name_len, void *buf, size_t cap);
MTA_IMPORT(counter) void mta_raw_counter(const void *name, size_t name_len, int64_t delta);
MTA_IMPORT(observe) void mta_raw_observe(const void *name, size_t name_len, double value);
// end of what is generated

// ---- Text --------------------------------------------------------------

// mta_str is octets that are somewhere else. Its p is NULL where there is none,
// which is not the same as none in it.
typedef struct {
	const char *p;
	size_t n;
} mta_str;

// MTA_S is a literal as mta_str.
#ifdef __cplusplus
#define MTA_S(literal) (mta_str{"" literal, sizeof(literal) - 1})
#else
#define MTA_S(literal) ((mta_str){"" literal, sizeof(literal) - 1})
#endif

static inline mta_str mta_bytes(const void *p, size_t n) {
	mta_str s = {(const char *)p, n};
	return s;
}

// mta_cstr is a string that a NUL ends.
static inline mta_str mta_cstr(const char *s) {
	size_t n = 0;
	while (s[n] != 0) n++;
	return mta_bytes(s, n);
}

static inline bool mta_equal(mta_str a, mta_str b) {
	if (a.n != b.n) return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i]) return false;
	return true;
}

// mta_lower is an ASCII letter in lower case, and any other octet as it is.
static inline char mta_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c; }

// mta_equal_fold takes upper and lower case of ASCII for the same.
static inline bool mta_equal_fold(mta_str a, mta_str b) {
	if (a.n != b.n) return false;
	for (size_t i = 0; i < a.n; i++)
		if (mta_lower(a.p[i]) != mta_lower(b.p[i])) return false;
	return true;
}

static inline bool mta_has_prefix(mta_str s, mta_str prefix) {
	return s.n >= prefix.n && mta_equal(mta_bytes(s.p, prefix.n), prefix);
}

// mta_arena is memory that text is put into, one after the other. It is empty
// again after used = 0.
//
//	static char memory[4096];
//	mta_arena a = {memory, sizeof memory, 0, 0};
//	mta_str sender = mta_take(&a, mta_sender_get(MTA_ROOM(&a)));
//	if (sender.p == NULL) return mta_fail(a.err, MTA_S("sender"));
typedef struct {
	char *p;
	size_t cap, used;
	int32_t err; // of the last mta_take or mta_cat; 0 if it gave text
} mta_arena;

// MTA_ROOM is what is left of an arena, as the two last arguments of a call.
#define MTA_ROOM(a) ((a)->p + (a)->used), ((a)->cap - (a)->used)

// mta_take keeps what a call wrote into MTA_ROOM: n is its result. The text's p
// is NULL, and err is set, if the call failed, or if there is no room
// (MTA_ERR_LIMIT).
static inline mta_str mta_take(mta_arena *a, int32_t n) {
	a->err = n < 0 ? n : (size_t)n > a->cap - a->used ? MTA_ERR_LIMIT : 0;
	if (a->err) return mta_bytes(NULL, 0);
	mta_str s = {a->p + a->used, (size_t)n};
	a->used += s.n;
	return s;
}

// mta_cat puts texts into the arena as one, as mta_take does.
static inline mta_str mta_cat_n(mta_arena *a, const mta_str *s, size_t count) {
	size_t n = 0, left = a->cap - a->used;
	for (size_t i = 0; i < count; i++) {
		if (s[i].n > left - n) return mta_take(a, MTA_ERR_LIMIT);
		for (size_t k = 0; k < s[i].n; k++) a->p[a->used + n + k] = s[i].p[k];
		n += s[i].n;
	}
	return mta_take(a, (int32_t)n);
}
#ifndef __cplusplus
#define mta_cat(a, ...) \
	mta_cat_n(a, (const mta_str[]){__VA_ARGS__}, sizeof((const mta_str[]){__VA_ARGS__}) / sizeof(mta_str))
#endif

// ---- Core --------------------------------------------------------------

static inline int32_t mta_abi_version(void) { return mta_raw_abi_version(); }

// mta_has tells whether the server has a function of that name.
static inline bool mta_has(mta_str name) { return mta_raw_has(name.p, name.n) > 0; }

// mta_call calls an operation that is no function of this header.
static inline int32_t mta_call(mta_str op, mta_str in, char *buf, size_t cap) {
	return mta_raw_call(op.p, op.n, in.p, in.n, buf, cap);
}

// mta_config gives the stage's `config:` as JSON; see mta_json.
static inline int32_t mta_config(char *buf, size_t cap) { return mta_raw_config(buf, cap); }

static inline void mta_log(int32_t level, mta_str text) { mta_raw_log(level, text.p, text.n); }
static inline bool mta_log_enabled(int32_t level) { return mta_raw_log_enabled(level) > 0; }

// mta_ctx_get gives one value of the session or the message by its name:
// "/client/ip", "/auth/login", "/queue/id". mta_ctx_json gives all.
static inline int32_t mta_ctx_get(mta_str key, char *buf, size_t cap) { return mta_raw_ctx_get(key.p, key.n, buf, cap); }
static inline int32_t mta_ctx_json(char *buf, size_t cap) { return mta_raw_ctx_json(buf, cap); }

// Notes are text that stages leave for later ones (MTA_SCOPE_...).
static inline int32_t mta_note_get(int32_t scope, mta_str key, char *buf, size_t cap) {
	return mta_raw_note_get(scope, key.p, key.n, buf, cap);
}
static inline int32_t mta_note_set(int32_t scope, mta_str key, mta_str value) {
	return mta_raw_note_set(scope, key.p, key.n, value.p, value.n);
}

// mta_deadline_ms is the time that this hook has left.
static inline int32_t mta_deadline_ms(void) { return mta_raw_deadline_ms(); }
// mta_now_ms is the time since 1970 in milliseconds.
static inline int64_t mta_now_ms(void) { return mta_raw_now_ms(); }
static inline int32_t mta_random(void *buf, size_t n) { return mta_raw_random(buf, n); }

// ---- Envelope ----------------------------------------------------------

// mta_sender_get gives the reverse-path; the null one is empty.
static inline int32_t mta_sender_get(char *buf, size_t cap) { return mta_raw_sender_get(buf, cap); }
static inline int32_t mta_sender_set(mta_str address) { return mta_raw_sender_set(address.p, address.n); }

static inline int32_t mta_rcpt_count(void) { return mta_raw_rcpt_count(); }
// mta_rcpt_at gives the ID of a recipient by its place; IDs stay when others go.
static inline int32_t mta_rcpt_at(int32_t index) { return mta_raw_rcpt_at(index); }
static inline int32_t mta_rcpt_add(mta_str address) { return mta_raw_rcpt_add(address.p, address.n); }
static inline int32_t mta_rcpt_set(int32_t id, mta_str address) { return mta_raw_rcpt_set(id, address.p, address.n); }
static inline int32_t mta_rcpt_remove(int32_t id) { return mta_raw_rcpt_remove(id); }
static inline int32_t mta_rcpt_get(int32_t id, int32_t field, char *buf, size_t cap) {
	return mta_raw_rcpt_get(id, field, buf, cap);
}
// mta_rcpt_reply refuses one recipient, with a code of 400 to 599.
static inline int32_t mta_rcpt_reply(int32_t id, int32_t code, mta_str enhanced, mta_str text) {
	return mta_raw_rcpt_reply(id, code, enhanced.p, enhanced.n, text.p, text.n);
}
static inline int32_t mta_reply(int32_t code, mta_str enhanced, mta_str text) {
	return mta_raw_reply(code, enhanced.p, enhanced.n, text.p, text.n);
}

// Verdicts with words: return mta_reject(550, MTA_S("5.7.1"), MTA_S("No"));
static inline int32_t mta_reject(int32_t code, mta_str enhanced, mta_str text) {
	mta_reply(code, enhanced, text);
	return MTA_REJECT;
}
static inline int32_t mta_defer(int32_t code, mta_str enhanced, mta_str text) {
	mta_reply(code, enhanced, text);
	return MTA_DEFER;
}
// mta_disconnect closes the session too: 421 is for now, 521 for good.
static inline int32_t mta_disconnect(int32_t code, mta_str enhanced, mta_str text) {
	mta_reply(code, enhanced, text);
	return MTA_DISCONNECT;
}

// mta_refuse is what on_load returns to keep the server from starting: the
// operator reads the text.
static inline int32_t mta_refuse(mta_str text) {
	mta_reply(550, MTA_S(""), text);
	return 1;
}

// mta_fail is what a hook returns that cannot do its work: what it changed is
// undone, and the stage's on_error decides. It logs what failed.
static inline int32_t mta_fail(int32_t err, mta_str what) {
	mta_log(MTA_LEVEL_ERROR, what);
	return err < 0 ? err : -1;
}

// ---- Header fields -----------------------------------------------------

static inline int32_t mta_hdr_count(int32_t part) { return mta_raw_hdr_count(part); }
// mta_hdr_find gives the index of the first field of that name at or after from.
static inline int32_t mta_hdr_find(int32_t part, mta_str name, int32_t from) {
	return mta_raw_hdr_find(part, name.p, name.n, from);
}
static inline int32_t mta_hdr_name(int32_t part, int32_t index, char *buf, size_t cap) {
	return mta_raw_hdr_name(part, index, buf, cap);
}
// mta_hdr_value gives a field's value: mode is MTA_HDR_RAW, _UNFOLDED or _DECODED.
static inline int32_t mta_hdr_value(int32_t part, int32_t index, int32_t mode, char *buf, size_t cap) {
	return mta_raw_hdr_value(part, index, mode, buf, cap);
}
static inline int32_t mta_hdr_block(int32_t part, char *buf, size_t cap) { return mta_raw_hdr_block(part, buf, cap); }
// mta_hdr_insert adds a field at MTA_INDEX_TOP, MTA_INDEX_BOTTOM or between. The
// host folds and encodes its value.
static inline int32_t mta_hdr_insert(int32_t part, int32_t index, mta_str name, mta_str value) {
	return mta_raw_hdr_insert(part, index, name.p, name.n, value.p, value.n);
}
static inline int32_t mta_hdr_insert_raw(int32_t part, int32_t index, mta_str field) {
	return mta_raw_hdr_insert_raw(part, index, field.p, field.n);
}
static inline int32_t mta_hdr_set(int32_t part, int32_t index, mta_str value) {
	return mta_raw_hdr_set(part, index, value.p, value.n);
}
static inline int32_t mta_hdr_remove(int32_t part, int32_t index) { return mta_raw_hdr_remove(part, index); }
static inline int32_t mta_hdr_remove_all(int32_t part, mta_str name) { return mta_raw_hdr_remove_all(part, name.p, name.n); }

// ---- MIME parts --------------------------------------------------------

static inline int32_t mta_part_first(int32_t id) { return mta_raw_part_first(id); }
static inline int32_t mta_part_next(int32_t id) { return mta_raw_part_next(id); }
static inline int32_t mta_part_parent(int32_t id) { return mta_raw_part_parent(id); }

// mta_part_after is the part behind id in preorder: its first child, or else
// the next of itself or of those above it.
//
//	for (int32_t id = MTA_ROOT; id >= 0; id = mta_part_after(id)) { ... }
static inline int32_t mta_part_after(int32_t id) {
	int32_t n = mta_part_first(id);
	while (n == MTA_ERR_NOT_FOUND && id != MTA_ROOT) {
		n = mta_part_next(id);
		if (n != MTA_ERR_NOT_FOUND) return n;
		id = mta_part_parent(id);
		if (id < 0) return id;
	}
	return n;
}

// mta_part_find gives the first part of a type ("text/*") in preorder, at or
// after from.
static inline int32_t mta_part_find(mta_str type, int32_t from) { return mta_raw_part_find(type.p, type.n, from); }
// mta_part_info gives MTA_PART_TYPE, _CHARSET, _FILENAME and so on.
static inline int32_t mta_part_info(int32_t id, int32_t what, char *buf, size_t cap) {
	return mta_raw_part_info(id, what, buf, cap);
}
static inline int32_t mta_part_flags(int32_t id) { return mta_raw_part_flags(id); }
static inline int64_t mta_part_size(int32_t id, int32_t mode) { return mta_raw_part_size(id, mode); }
// mta_part_read copies octets from offset on: mode is MTA_READ_RAW, _BODY,
// _DECODED or _TEXT. It returns how many, and 0 at the end.
static inline int32_t mta_part_read(int32_t id, int32_t mode, int64_t offset, void *buf, size_t cap) {
	return mta_raw_part_read(id, mode, offset, buf, cap);
}

// A blob is octets in the making; it goes with the hook.
static inline int32_t mta_blob_new(void) { return mta_raw_blob_new(); }
static inline int32_t mta_blob_write(int32_t blob, mta_str octets) { return mta_raw_blob_write(blob, octets.p, octets.n); }
// mta_blob is a blob of one text.
static inline int32_t mta_blob(mta_str octets) {
	int32_t blob = mta_blob_new();
	int32_t n = blob < 0 ? blob : mta_blob_write(blob, octets);
	return n < 0 ? n : blob;
}

// mta_part_replace gives a part other content; the host picks its transfer encoding.
static inline int32_t mta_part_replace(int32_t id, mta_str type, int32_t blob) {
	return mta_raw_part_replace(id, type.p, type.n, blob);
}
static inline int32_t mta_part_insert(int32_t parent, int32_t index, mta_str type, mta_str filename, int32_t blob) {
	return mta_raw_part_insert(parent, index, type.p, type.n, filename.p, filename.n, blob);
}
static inline int32_t mta_part_remove(int32_t id) { return mta_raw_part_remove(id); }
static inline int32_t mta_part_wrap(int32_t id, mta_str type) { return mta_raw_part_wrap(id, type.p, type.n); }

// The message as octets.
static inline int64_t mta_msg_size(void) { return mta_raw_msg_size(); }
static inline int32_t mta_msg_read(int64_t offset, void *buf, size_t cap) { return mta_raw_msg_read(offset, buf, cap); }
static inline int32_t mta_msg_replace(int32_t blob) { return mta_raw_msg_replace(blob); }

// ---- Actions -----------------------------------------------------------

// mta_route sends a recipient (or MTA_ALL_RECIPIENTS) to a next hop.
static inline int32_t mta_route(int32_t rcpt, mta_str host, int32_t port, int32_t flags) {
	return mta_raw_route(rcpt, host.p, host.n, port, flags);
}
// mta_deliver keeps a recipient's message in a mailbox here.
static inline int32_t mta_deliver(int32_t rcpt, mta_str mailbox, mta_str folder, mta_str flags) {
	return mta_raw_deliver(rcpt, mailbox.p, mailbox.n, folder.p, folder.n, flags.p, flags.n);
}
static inline int32_t mta_retry_at(int32_t rcpt, int64_t ms) { return mta_raw_retry_at(rcpt, ms); }

// mta_quarantine returns MTA_QUARANTINE, or why the reason was not taken.
static inline int32_t mta_quarantine(mta_str reason) {
	int32_t n = mta_raw_quarantine(reason.p, reason.n);
	return n < 0 ? n : MTA_QUARANTINE;
}

// mta_variant_new makes a copy of the message for those recipients. What is
// changed after mta_variant_select is changed for them alone.
static inline int32_t mta_variant_new(const int32_t *ids, size_t count) {
	return mta_raw_variant_new(ids, count * sizeof *ids);
}
static inline int32_t mta_variant_select(int32_t variant) { return mta_raw_variant_select(variant); }

// mta_send originates a message; recipients are addresses, one a line.
static inline int32_t mta_send(mta_str sender, mta_str recipients, int32_t blob) {
	return mta_raw_send(sender.p, sender.n, recipients.p, recipients.n, blob);
}

// ---- Services ----------------------------------------------------------

// Keys and values that outlive a message; ttl_ms 0 is for ever.
static inline int32_t mta_kv_get(mta_str key, char *buf, size_t cap) { return mta_raw_kv_get(key.p, key.n, buf, cap); }
static inline int32_t mta_kv_set(mta_str key, mta_str value, int64_t ttl_ms) {
	return mta_raw_kv_set(key.p, key.n, value.p, value.n, ttl_ms);
}
static inline int32_t mta_kv_del(mta_str key) { return mta_raw_kv_del(key.p, key.n); }
// mta_kv_add adds to a counter, whose new value is then in *now.
static inline int32_t mta_kv_add(mta_str key, int64_t delta, int64_t ttl_ms, int64_t *now) {
	return mta_raw_kv_add(key.p, key.n, delta, ttl_ms, now);
}
// mta_kv_cas sets a value if it still is the old one, and returns 1, or 0 if it
// is not. An empty old one is a key that is not there, an empty new one deletes.
static inline int32_t mta_kv_cas(mta_str key, mta_str old_value, mta_str new_value, int64_t ttl_ms) {
	return mta_raw_kv_cas(key.p, key.n, old_value.p, old_value.n, new_value.p, new_value.n, ttl_ms);
}
// mta_dns gives the records of a type (1 A, 15 MX, 16 TXT, ...), one a line.
static inline int32_t mta_dns(int32_t type, mta_str name, char *buf, size_t cap) {
	return mta_raw_dns(type, name.p, name.n, buf, cap);
}
static inline void mta_counter(mta_str name, int64_t delta) { mta_raw_counter(name.p, name.n, delta); }
static inline void mta_observe(mta_str name, double value) { mta_raw_observe(name.p, name.n, value); }

// ---- JSON --------------------------------------------------------------

// mta_json is a value in JSON text that the host made: the configuration, or
// mta_ctx_json. Nothing is decoded until it is asked for.
//
//	mta_str json = mta_take(&a, mta_config(MTA_ROOM(&a)));
//	mta_str name = mta_take(&a, mta_json_text(mta_json_get(json, MTA_S("name")), MTA_ROOM(&a)));
typedef mta_str mta_json;

static inline size_t mta_json_blank(mta_json v, size_t i) {
	while (i < v.n && (v.p[i] == ' ' || v.p[i] == '\t' || v.p[i] == '\n' || v.p[i] == '\r')) i++;
	return i;
}

// mta_json_end is where the value that begins at i ends.
static inline size_t mta_json_end(mta_json v, size_t i) {
	size_t depth = 0;
	bool quoted = false;
	for (size_t begin = i; i < v.n; i++) {
		char c = v.p[i];
		if (quoted) {
			if (c == '\\') i++;
			else if (c == '"') {
				quoted = false;
				if (depth == 0) return i + 1;
			}
		} else if (c == '"') quoted = true;
		else if (c == '{' || c == '[') depth++;
		else if (c == '}' || c == ']') {
			if (depth == 0) return i;
			if (--depth == 0) return i + 1;
		} else if (depth == 0 && i > begin && (c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) return i;
	}
	return v.n;
}

// mta_json_each walks over an array or an object: *i is 0 before the first
// value. It returns false after the last. key (which may be NULL) is a string
// as it stands in the text, with its quotes.
static inline bool mta_json_each(mta_json in, size_t *i, mta_json *key, mta_json *value) {
	size_t at = mta_json_blank(in, *i);
	if (*i == 0) {
		if (at >= in.n || (in.p[at] != '{' && in.p[at] != '[')) return false;
		at = mta_json_blank(in, at + 1);
	} else if (at < in.n && in.p[at] == ',') at = mta_json_blank(in, at + 1);
	if (at >= in.n || in.p[at] == '}' || in.p[at] == ']') return false;
	size_t end = mta_json_end(in, at);
	size_t colon = mta_json_blank(in, end);
	if (colon < in.n && in.p[colon] == ':') {
		if (key != NULL) *key = mta_bytes(in.p + at, end - at);
		at = mta_json_blank(in, colon + 1);
		end = mta_json_end(in, at);
	}
	*value = mta_bytes(in.p + at, end - at);
	*i = end;
	return true;
}

static inline int32_t mta_json_hex(const char *p) {
	int32_t n = 0;
	for (int i = 0; i < 4; i++) {
		char c = mta_lower(p[i]);
		n = n * 16 + (c >= 'a' ? c - 'a' + 10 : c - '0');
	}
	return n;
}

// mta_json_escape decodes what is behind a backslash at p; *used octets of it.
static inline int32_t mta_json_escape(const char *p, size_t left, size_t *used) {
	*used = 1;
	switch (*p) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'u': break;
	default: return *p;
	}
	if (left < 5) return 0xFFFD;
	int32_t c = mta_json_hex(p + 1);
	*used = 5;
	if (c < 0xD800 || c > 0xDFFF) return c;
	if (c < 0xDC00 && left >= 11 && p[5] == '\\' && p[6] == 'u') {
		int32_t low = mta_json_hex(p + 7);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*used = 11;
			return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return 0xFFFD;
}

// mta_utf8 writes a character, and returns how many octets it has.
static inline size_t mta_utf8(int32_t c, char out[4]) {
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)(first[n] | c);
	return n;
}

// mta_json_text gives a string without its quotes and escapes: its full length,
// or MTA_ERR_NOT_FOUND if v is no string. What does not fit is not written.
static inline int32_t mta_json_text(mta_json v, char *buf, size_t cap) {
	if (v.p == NULL || v.n < 2 || v.p[0] != '"') return MTA_ERR_NOT_FOUND;
	size_t n = 0;
	for (size_t i = 1; i < v.n - 1;) {
		char out[4];
		size_t len = 1;
		out[0] = v.p[i++];
		if (out[0] == '\\') {
			size_t used;
			len = mta_utf8(mta_json_escape(v.p + i, v.n - 1 - i, &used), out);
			i += used;
		}
		for (size_t k = 0; k < len; k++, n++)
			if (n < cap) buf[n] = out[k];
	}
	return (int32_t)n;
}

// mta_json_is compares a key or a string with text of up to 128 octets.
static inline bool mta_json_is(mta_json v, mta_str text) {
	char buf[128];
	int32_t n = mta_json_text(v, buf, sizeof buf);
	return n >= 0 && (size_t)n <= sizeof buf && mta_equal(mta_bytes(buf, (size_t)n), text);
}

// mta_json_get is the value of a key, with p NULL if there is none or it is null.
static inline mta_json mta_json_get(mta_json object, mta_str key) {
	size_t i = 0;
	mta_json k = mta_bytes(NULL, 0), value;
	while (object.p != NULL && mta_json_each(object, &i, &k, &value))
		if (mta_json_is(k, key)) return mta_equal(value, MTA_S("null")) ? mta_bytes(NULL, 0) : value;
	return mta_bytes(NULL, 0);
}

// mta_json_int reads an integer, and tells whether v is one.
static inline bool mta_json_int(mta_json v, int64_t *out) {
	size_t i = v.n > 0 && v.p[0] == '-';
	uint64_t n = 0;
	if (i >= v.n) return false;
	for (; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9' || n > (INT64_MAX - 9) / 10) return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = v.p[0] == '-' ? -(int64_t)n : (int64_t)n;
	return true;
}

static inline bool mta_json_true(mta_json v) { return mta_equal(v, MTA_S("true")); }

#endif
