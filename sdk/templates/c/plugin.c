// PLUGIN adds a header field to each message.
#include "mta.h"

static char memory[4096];
static mta_arena arena = {memory, sizeof memory, 0, 0};
static mta_str greeting;

// on_load reads the `config:` of the stage in pipeline.yaml.
MTA_HOOK(on_load) {
	mta_json config = mta_take(&arena, mta_config(MTA_ROOM(&arena)));
	if (config.p == NULL) return mta_refuse(MTA_S("the configuration is too long"));
	greeting = mta_take(&arena, mta_json_text(mta_json_get(config, MTA_S("greeting")), MTA_ROOM(&arena)));
	if (greeting.p == NULL) greeting = MTA_S("hello from PLUGIN");
	return 0;
}

MTA_HOOK(on_message) {
	int32_t err = mta_hdr_insert(MTA_ROOT, MTA_INDEX_TOP, MTA_S("X-Greeting"), greeting);
	return err < 0 ? mta_fail(err, MTA_S("X-Greeting is not inserted")) : MTA_CONTINUE;
}
