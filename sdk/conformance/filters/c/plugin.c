// The conformance filter in C; sdk/conformance/README.md is its specification.
#include "mta.h"

static char memory[256 << 10];
static mta_arena arena = {memory, sizeof memory, 0, 0};

// What the configuration says; p is NULL where it says nothing.
static struct {
	mta_str name, value, tag, attachment, refuse;
} config;

// text takes a string of the configuration, and fails only for want of room.
static bool text(mta_json v, mta_str *out) {
	*out = mta_take(&arena, mta_json_text(v, MTA_ROOM(&arena)));
	return out->p != NULL || arena.err == MTA_ERR_NOT_FOUND;
}

MTA_HOOK(on_load) {
	mta_json json = mta_take(&arena, mta_config(MTA_ROOM(&arena)));
	if (json.p == NULL) return mta_refuse(MTA_S("the configuration is too long"));
	mta_json stamp = mta_json_get(json, MTA_S("stamp"));
	bool ok = text(mta_json_get(stamp, MTA_S("name")), &config.name) && text(mta_json_get(stamp, MTA_S("value")), &config.value) &&
		text(mta_json_get(json, MTA_S("tag")), &config.tag) && text(mta_json_get(json, MTA_S("attachment")), &config.attachment) &&
		text(mta_json_get(json, MTA_S("refuse")), &config.refuse);
	return ok ? 0 : mta_refuse(MTA_S("the configuration is too long"));
}

static int32_t stamp(void) {
	return mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, config.name, config.value);
}

static int32_t tag(void) {
	int32_t i = mta_hdr_find(MTA_ROOT, MTA_S("Subject"), 0);
	if (i == MTA_ERR_NOT_FOUND) return mta_hdr_insert(MTA_ROOT, MTA_INDEX_BOTTOM, MTA_S("Subject"), config.tag);
	if (i < 0) return i;
	mta_str subject = mta_take(&arena, mta_hdr_value(MTA_ROOT, i, MTA_HDR_DECODED, MTA_ROOM(&arena)));
	if (subject.p == NULL) return arena.err;
	if (mta_has_prefix(subject, config.tag)) return 0;
	mta_str tagged = mta_cat(&arena, config.tag, MTA_S(" "), subject);
	return tagged.p == NULL ? arena.err : mta_hdr_set(MTA_ROOT, i, tagged);
}

// is_text_attachment is 1 or 0, or an error.
static int32_t is_text_attachment(int32_t part) {
	int32_t flags = mta_part_flags(part);
	if (flags < 0 || !(flags & MTA_FLAG_ATTACHMENT)) return flags < 0 ? flags : 0;
	char type[256];
	int32_t n = mta_part_info(part, MTA_PART_TYPE, type, sizeof type);
	if (n < 0 || (size_t)n > sizeof type) return n < 0 ? n : 0; // no type that begins with text/ is as long
	return mta_has_prefix(mta_bytes(type, (size_t)n), MTA_S("text/"));
}

static int32_t replace(int32_t part) {
	int32_t blob = mta_blob(config.attachment);
	return blob < 0 ? blob : mta_part_replace(part, MTA_S("text/plain; charset=utf-8"), blob);
}

static int32_t attachments(void) {
	enum { MOST = 16384 };
	static int32_t found[MOST];
	int32_t n = 0, id = MTA_ROOT;
	for (; id >= 0; id = mta_part_after(id)) {
		int32_t is = is_text_attachment(id);
		if (is < 0) return is;
		if (is && n == MOST) return MTA_ERR_LIMIT;
		if (is) found[n++] = id;
	}
	if (id != MTA_ERR_NOT_FOUND) return id;
	for (int32_t i = 0; i < n; i++) {
		int32_t err = replace(found[i]);
		if (err < 0) return err;
	}
	return 0;
}

static int32_t refuse(void) {
	int32_t count = mta_rcpt_count();
	for (int32_t i = 0; i < count; i++) {
		int32_t id = mta_rcpt_at(i);
		if (id < 0) return id;
		size_t mark = arena.used;
		mta_str address = mta_take(&arena, mta_rcpt_get(id, MTA_RCPT_ADDRESS, MTA_ROOM(&arena)));
		if (address.p == NULL) return arena.err;
		arena.used = mark;
		if (!mta_equal_fold(address, config.refuse)) continue;
		int32_t err = mta_rcpt_reply(id, 550, MTA_S("5.7.1"), MTA_S("Refused by conformance"));
		if (err < 0) return err;
	}
	return count < 0 ? count : 0;
}

MTA_HOOK(on_message) {
	const struct {
		mta_str wanted;
		int32_t (*run)(void);
	} steps[] = {{config.name, stamp}, {config.tag, tag}, {config.attachment, attachments}, {config.refuse, refuse}};
	size_t mark = arena.used;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (steps[i].wanted.p != NULL && steps[i].run() < 0) return -1;
	arena.used = mark;
	return MTA_CONTINUE;
}
