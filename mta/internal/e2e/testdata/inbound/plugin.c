// A plugin that does on the way in what its recipients are called after.
#include "mta.h"

static char memory[4096];

#define BEGINS(text, with) mta_has_prefix(text, MTA_S(with))

static mta_str address(mta_arena *a, int32_t id) { return mta_take(a, mta_rcpt_get(id, MTA_RCPT_ADDRESS, MTA_ROOM(a))); }

// on_helo leaves a note for all messages of the session.
MTA_HOOK(on_helo) {
	return mta_note_set(MTA_SCOPE_CONNECTION, MTA_S("met"), MTA_S("at helo")) < 0 ? -1 : MTA_CONTINUE;
}

// on_rcpt refuses strangers.
MTA_HOOK(on_rcpt) {
	mta_arena a = {memory, sizeof memory, 0, 0};
	if (!BEGINS(address(&a, mta_rcpt_at(mta_rcpt_count() - 1)), "stranger")) return MTA_CONTINUE;
	mta_reply(551, MTA_S("5.1.6"), MTA_S("Strangers have moved"));
	return MTA_REJECT;
}

// on_message refuses some, gives others a variant, and thanks alice.
MTA_HOOK(on_message) {
	mta_arena a = {memory, sizeof memory, 0, 0};
	int32_t copies[8];
	size_t n = 0;
	for (int32_t i = 0; i < mta_rcpt_count(); i++) {
		int32_t id = mta_rcpt_at(i);
		mta_str to = address(&a, id);
		if (BEGINS(to, "never")) mta_rcpt_reply(id, 550, MTA_S("5.7.1"), MTA_S("Never for this one"));
		if (BEGINS(to, "later")) mta_rcpt_reply(id, 452, MTA_S("4.2.2"), MTA_S("Later for this one"));
		if ((BEGINS(to, "copy") || BEGINS(to, "carol")) && n < 8) copies[n++] = id;
	}
	mta_str met = mta_take(&a, mta_note_get(MTA_SCOPE_CONNECTION, MTA_S("met"), MTA_ROOM(&a)));
	if (mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Met"), met) < 0) return -1;
	if (n > 0) {
		int32_t v = mta_variant_new(copies, n);
		if (v < 0 || mta_variant_select(v) < 0) return -1;
		if (mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Copy"), MTA_S("yes")) < 0) return -1;
		mta_variant_select(0);
	}
	if (BEGINS(mta_take(&a, mta_sender_get(MTA_ROOM(&a))), "bob")) {
		int32_t blob = mta_blob_new();
		mta_blob_write(blob, MTA_S("Subject: thank you\n\nfor your message\n"));
		if (mta_send(MTA_S(""), MTA_S("bob@hamburger.edu"), blob) < 0) return -1;
	}
	return MTA_CONTINUE;
}
