#include "mta.h"

static char memory[64 << 10], lines[16 << 10];
static mta_arena arena = {memory, sizeof memory, 0, 0}, out = {lines, sizeof lines, 0, 0};

static void text(const char *name, mta_str s) {
	mta_cat(&out, mta_cstr(name), MTA_S(" "), s.p ? s : MTA_S("error"), MTA_S("\n"));
}

static void number(const char *name, int64_t n) {
	char digits[20];
	size_t i = sizeof digits;
	int64_t left = n;
	do digits[--i] = (char)('0' + left % 10);
	while (left /= 10);
	text(name, n < 0 ? mta_bytes(NULL, 0) : mta_bytes(digits + i, sizeof digits - i));
}

#define TAKE(call) mta_take(&arena, call)
#define ROOM MTA_ROOM(&arena)

static void core(mta_str config) {
	number("version", mta_abi_version() >> 16);
	number("has", mta_has(MTA_S("hdr_find")) * 10 + mta_has(MTA_S("nope")));
	text("call", TAKE(mta_call(MTA_S("org.example.none"), MTA_S("x"), ROOM)));
	text("config", TAKE(mta_json_text(mta_json_get(config, MTA_S("greeting")), ROOM)));
	mta_json list = mta_json_get(config, MTA_S("list")), item = list;
	size_t i = 0;
	int64_t items = 0, n = 0;
	while (mta_json_each(list, &i, NULL, &item)) items++;
	number("items", items);
	text("last", TAKE(mta_json_text(item, ROOM)));
	mta_json_int(mta_json_get(config, MTA_S("n")), &n);
	number("n", -n);
	number("null", mta_json_get(config, MTA_S("nothing")).p == NULL);
	mta_log(MTA_LEVEL_INFO, MTA_S("on tour"));
	number("log", mta_log_enabled(MTA_LEVEL_ERROR));
	text("context", TAKE(mta_ctx_get(MTA_S("/client/ehlo"), ROOM)));
	text("missing", TAKE(mta_ctx_get(MTA_S("/nope"), ROOM)));
	text("json", TAKE(mta_json_text(mta_json_get(TAKE(mta_ctx_json(ROOM)), MTA_S("stage")), ROOM)));
	mta_note_set(MTA_SCOPE_TRANSACTION, MTA_S("k"), MTA_S("v"));
	text("note", TAKE(mta_note_get(MTA_SCOPE_TRANSACTION, MTA_S("k"), ROOM)));
	number("clock", mta_deadline_ms() > 0 && mta_now_ms() > 0);
	char octets[8];
	number("random", mta_random(octets, sizeof octets) >= 0);
}

static void envelope(void) {
	mta_sender_set(MTA_S("carol@crepes.fr"));
	text("sender", TAKE(mta_sender_get(ROOM)));
	number("recipients", mta_rcpt_count());
	int32_t id = mta_rcpt_add(MTA_S("dave@hamburger.edu"));
	mta_rcpt_set(id, MTA_S("erin@hamburger.edu"));
	text("added", TAKE(mta_rcpt_get(id, MTA_RCPT_ADDRESS, ROOM)));
	number("remove", mta_rcpt_remove(id));
	text("first", TAKE(mta_rcpt_get(mta_rcpt_at(0), MTA_RCPT_ADDRESS, ROOM)));
	number("refuse", mta_rcpt_reply(mta_rcpt_at(1), 550, MTA_S("5.7.1"), MTA_S("No")));
}

static void header(void) {
	number("fields", mta_hdr_count(MTA_ROOT));
	int32_t i = mta_hdr_find(MTA_ROOT, MTA_S("subject"), 0);
	text("name", TAKE(mta_hdr_name(MTA_ROOT, i, ROOM)));
	text("decoded", TAKE(mta_hdr_value(MTA_ROOT, i, MTA_HDR_DECODED, ROOM)));
	text("unfolded", TAKE(mta_hdr_value(MTA_ROOT, i, MTA_HDR_UNFOLDED, ROOM)));
	number("block", (int64_t)TAKE(mta_hdr_block(MTA_ROOT, ROOM)).n);
	mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Top"), MTA_S("top"));
	mta_hdr_insert_raw(MTA_ROOT, MTA_INDEX_BOTTOM, MTA_S("X-Raw: raw"));
	mta_hdr_set(MTA_ROOT, mta_hdr_find(MTA_ROOT, MTA_S("X-Set"), 0), MTA_S("set"));
	mta_hdr_remove(MTA_ROOT, mta_hdr_find(MTA_ROOT, MTA_S("X-Gone"), 0));
	number("removed", mta_hdr_remove_all(MTA_ROOT, MTA_S("X-Old")));
	number("none", mta_hdr_find(MTA_ROOT, MTA_S("X-Old"), 0));
}

static void tree(void) {
	int32_t one = mta_part_first(MTA_ROOT), two = mta_part_next(one);
	number("parent", mta_part_parent(two));
	number("found", mta_part_find(MTA_S("text/*"), MTA_ROOT) == one);
	text("type", TAKE(mta_part_info(two, MTA_PART_TYPE, ROOM)));
	text("filename", TAKE(mta_part_info(two, MTA_PART_FILENAME, ROOM)));
	number("flags", mta_part_flags(two));
	number("size", mta_part_size(two, MTA_READ_DECODED));
	text("text", TAKE(mta_part_read(two, MTA_READ_TEXT, 0, ROOM)));
	number("replace", mta_part_replace(one, MTA_S("text/plain; charset=utf-8"), mta_blob(MTA_S("Bonjour\r\n"))));
	number("insert", mta_part_insert(MTA_ROOT, MTA_INDEX_BOTTOM, MTA_S("text/plain"), MTA_S("b.txt"), mta_blob(MTA_S("B"))) > 0);
	number("wrap", mta_part_wrap(one, MTA_S("multipart/alternative")) > 0);
	number("gone", mta_part_remove(two));
	char start[5];
	number("message", mta_msg_size() > 0 && mta_msg_read(0, start, 5) == 5 && mta_equal(mta_bytes(start, 5), MTA_S("X-Top")));
}

static void actions(void) {
	int32_t first = mta_rcpt_at(0);
	number("route", mta_route(first, MTA_S("mx.example.org"), 25, MTA_ROUTE_REQUIRE_TLS));
	number("deliver", mta_deliver(MTA_ALL_RECIPIENTS, MTA_S("bob"), MTA_S("Archive"), MTA_S("\\Seen")));
	number("retry", mta_retry_at(first, 1));
	number("quarantine", mta_quarantine(MTA_S("on tour")));
	int32_t v = mta_variant_new(&first, 1);
	number("variant", v > 0 && mta_variant_select(v) >= 0);
	mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Variant"), MTA_S("1"));
	number("main", mta_variant_select(0));
	number("send", mta_send(MTA_S("carol@crepes.fr"), MTA_S("frank@example.org"), mta_blob(MTA_S("Subject: hi\r\n\r\nhi\r\n"))));
}

static void services(void) {
	text("kv none", TAKE(mta_kv_get(MTA_S("k"), ROOM)));
	mta_kv_set(MTA_S("k"), MTA_S("v"), 60000);
	text("kv set", TAKE(mta_kv_get(MTA_S("k"), ROOM)));
	int64_t n = -1;
	mta_kv_add(MTA_S("n"), 2, 0, &n);
	number("kv add", n);
	number("kv swap", mta_kv_cas(MTA_S("k"), MTA_S("v"), MTA_S("w"), 0));
	text("kv now", TAKE(mta_kv_get(MTA_S("k"), ROOM)));
	number("kv remove", mta_kv_del(MTA_S("k")));
	text("dns", TAKE(mta_dns(16, MTA_S("example.org"), ROOM)));
	mta_counter(MTA_S("tours"), 1);
	mta_observe(MTA_S("length"), 0.5);
}

MTA_HOOK(on_load) { return 0; }

MTA_HOOK(on_message) {
	mta_str config = TAKE(mta_config(ROOM));
	if (mta_json_true(mta_json_get(config, MTA_S("replace"))))
		return mta_msg_replace(mta_blob(MTA_S("Subject: new\r\n\r\nnew\r\n"))) < 0 ? mta_fail(-1, MTA_S("replace")) : MTA_CONTINUE;
	core(config);
	envelope();
	header();
	tree();
	actions();
	services();
	mta_note_set(MTA_SCOPE_TRANSACTION, MTA_S("tour"), mta_bytes(lines, out.used));
	return MTA_CONTINUE;
}

// What a verdict needs beside.
MTA_HOOK(on_rcpt) { return mta_reject(550, MTA_S("5.1.1"), MTA_S("No tour")); }
MTA_HOOK(on_mail) { return mta_defer(450, MTA_S("4.2.0"), MTA_S("Later")); }
MTA_HOOK(on_helo) { return mta_disconnect(421, MTA_S("4.3.2"), MTA_S("Closed")); }

#define OTHER(hook) MTA_HOOK(hook) { return MTA_CONTINUE; }
OTHER(on_connect)
OTHER(on_auth)
OTHER(on_data)
OTHER(on_headers)
OTHER(on_route)
OTHER(on_local)
OTHER(on_delivery)
OTHER(on_dsn)
OTHER(on_disconnect)
