// PLUGIN adds a header field to each message.
#include "mta.hpp"

static std::string greeting;

// on_load reads the `config:` of the stage in pipeline.yaml.
MTA_HOOK(on_load) {
	auto config = mta::config();
	if (!config) return mta::refuse("the configuration cannot be read");
	greeting = mta::json(*config)["greeting"].text().value_or("hello from PLUGIN");
	return 0;
}

MTA_HOOK(on_message) {
	int32_t err = mta::root.insert_field(MTA_INDEX_TOP, "X-Greeting", greeting);
	return err < 0 ? mta::fail(err, "X-Greeting is not inserted") : MTA_CONTINUE;
}
