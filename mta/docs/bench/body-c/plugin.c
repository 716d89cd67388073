// What the milters of the comparison do: adds a field, and replaces a word in
// the text. It is for measuring.
#include "mta.h"

enum { MOST = 1 << 20 }; // octets of a text

static char text[MOST];
static const char from[] = "BENCH-TOKEN-AAAA", to[] = "BENCH-TOKEN-BBBB";

// replace is how often the word was there. Both words are of one length.
static int32_t replace(char *p, size_t n) {
	int32_t found = 0;
	const size_t len = sizeof from - 1;
	for (size_t i = 0; i + len <= n; i++) {
		if (p[i] != 'B' || __builtin_memcmp(p + i, from, len) != 0) continue;
		__builtin_memcpy(p + i, to, len);
		found++;
	}
	return found;
}

MTA_HOOK(on_message) {
	int32_t err = mta_hdr_insert(MTA_ROOT, MTA_INDEX_BOTTOM, MTA_S("X-Bench-Ext"), MTA_S("1"));
	if (err < 0) return mta_fail(err, MTA_S("the field is not inserted"));
	int32_t part = mta_part_find(MTA_S("text/*"), MTA_ROOT);
	if (part < 0) return MTA_CONTINUE;
	if (mta_part_size(part, MTA_READ_DECODED) > MOST) return MTA_CONTINUE;
	int32_t n = mta_part_read(part, MTA_READ_DECODED, 0, text, MOST);
	if (n < 0) return mta_fail(n, MTA_S("the text cannot be read"));
	if (replace(text, (size_t)n) == 0) return MTA_CONTINUE;
	int32_t blob = mta_blob(mta_bytes(text, (size_t)n));
	err = blob < 0 ? blob : mta_part_replace(part, MTA_S("text/plain; charset=utf-8"), blob);
	return err < 0 ? mta_fail(err, MTA_S("the text is not replaced")) : MTA_CONTINUE;
}
