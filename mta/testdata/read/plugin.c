// Reads the whole message, and nothing else. It is for measuring.
#include "mta.h"

static char octets[2 << 20];

MTA_HOOK(on_message) {
	int32_t n = mta_msg_read(0, octets, sizeof octets);
	return n < 0 ? mta_fail(n, MTA_S("the message cannot be read")) : MTA_CONTINUE;
}
