// Attachments that nobody should open: the message is refused, or they are
// replaced by a notice.
#include "mta.h"

enum { MOST = 4096 }; // parts that are replaced in one message

static char memory[32 << 10];
static mta_arena arena = {memory, sizeof memory, 0, 0};

static mta_json blocked; // the list of endings, as JSON
static mta_str notice, text;
static bool replace;

MTA_HOOK(on_load) {
	mta_json config = mta_take(&arena, mta_config(MTA_ROOM(&arena)));
	blocked = mta_json_get(config, MTA_S("block"));
	if (blocked.p == NULL) return mta_refuse(MTA_S("block: is missing; list endings of file names, such as .exe"));
	mta_json action = mta_json_get(config, MTA_S("action"));
	replace = mta_json_is(action, MTA_S("replace"));
	if (action.p != NULL && !replace && !mta_json_is(action, MTA_S("reject")))
		return mta_refuse(MTA_S("action: is neither reject nor replace"));
	notice = mta_take(&arena, mta_json_text(mta_json_get(config, MTA_S("notice")), MTA_ROOM(&arena)));
	if (notice.p == NULL) notice = MTA_S("An attachment was removed here, because files of its kind can do harm.\r\n");
	text = mta_take(&arena, mta_json_text(mta_json_get(config, MTA_S("text")), MTA_ROOM(&arena)));
	if (text.p == NULL) text = MTA_S("Attachments of this kind are not accepted here");
	return 0;
}

// ends_with ignores the case of ASCII letters.
static bool ends_with(mta_str s, mta_str end) {
	return end.n <= s.n && mta_equal_fold(mta_bytes(s.p + s.n - end.n, end.n), end);
}

// trimmed is a name without the dots and blanks that Windows drops from its end.
static mta_str trimmed(mta_str name) {
	while (name.n > 0 && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == ' ')) name.n--;
	return name;
}

static bool is_blocked(mta_str name) {
	mta_json end;
	char buf[64];
	for (size_t i = 0; mta_json_each(blocked, &i, NULL, &end);) {
		int32_t n = mta_json_text(end, buf, sizeof buf);
		if (n > 0 && (size_t)n <= sizeof buf && ends_with(name, mta_bytes(buf, (size_t)n))) return true;
	}
	return false;
}

// part_is_blocked is 1 or 0, or an error.
static int32_t part_is_blocked(int32_t part) {
	char name[1024];
	int32_t n = mta_part_info(part, MTA_PART_FILENAME, name, sizeof name);
	if (n == MTA_ERR_NOT_FOUND) return 0;
	if (n < 0) return n;
	if ((size_t)n > sizeof name) return 1; // no honest name is that long
	return is_blocked(trimmed(mta_bytes(name, (size_t)n)));
}

static int32_t put_notice(int32_t part) {
	int32_t blob = mta_blob(notice);
	return blob < 0 ? blob : mta_part_replace(part, MTA_S("text/plain; charset=utf-8"), blob);
}

MTA_HOOK(on_message) {
	static int32_t found[MOST];
	int32_t count = 0, id = MTA_ROOT;
	for (; id >= 0; id = mta_part_after(id)) {
		int32_t is = part_is_blocked(id);
		if (is < 0) return mta_fail(is, MTA_S("a file name cannot be read"));
		if (is && (!replace || count == MOST)) return mta_reject(552, MTA_S("5.7.1"), text);
		if (is) found[count++] = id;
	}
	for (int32_t i = 0; i < count; i++) {
		int32_t err = put_notice(found[i]);
		if (err < 0) return mta_fail(err, MTA_S("an attachment cannot be replaced"));
	}
	mta_counter(MTA_S("attachments_replaced"), count);
	return MTA_CONTINUE;
}
