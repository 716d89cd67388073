// The conformance filter in C++; sdk/conformance/README.md is its specification.
#include "mta.hpp"

namespace {

// What the configuration says; nothing leaves out a step.
struct {
	std::optional<std::string> name, value, tag, attachment, refuse;
} config;

int32_t stamp() { return mta::root.insert_field(MTA_INDEX_TOP, *config.name, config.value.value_or("")); }

int32_t tag() {
	auto field = mta::root.find("Subject");
	if (field.not_found()) return mta::root.insert_field(MTA_INDEX_BOTTOM, "Subject", *config.tag);
	if (!field) return field.error();
	auto subject = field->value();
	if (!subject) return subject.error();
	return mta::has_prefix(*subject, *config.tag) ? 0 : field->set(*config.tag + " " + *subject);
}

// text_attachment tells whether a part is one; an error is in *err.
bool text_attachment(mta::part part, int32_t *err) {
	int32_t flags = part.flags();
	if (flags < 0) *err = flags;
	if (flags < 0 || !(flags & MTA_FLAG_ATTACHMENT)) return false;
	auto type = part.type();
	if (!type) *err = type.error();
	return type && mta::has_prefix(*type, "text/");
}

int32_t attachments() {
	std::vector<mta::part> found;
	int32_t err = 0;
	for (auto part : mta::parts())
		if (text_attachment(part, &err)) found.push_back(part);
	for (auto part : found)
		if (err >= 0) err = part.replace("text/plain; charset=utf-8", *config.attachment);
	return err;
}

int32_t refuse() {
	for (auto rcpt : mta::recipients()) {
		auto address = rcpt.address();
		if (!address) return address.error();
		if (!mta::equal_fold(*address, *config.refuse)) continue;
		int32_t err = rcpt.refuse(550, "5.7.1", "Refused by conformance");
		if (err < 0) return err;
	}
	return 0;
}

} // namespace

MTA_HOOK(on_load) {
	auto text = mta::config();
	if (!text) return mta::refuse("the configuration cannot be read");
	mta::json json(*text);
	config = {json["stamp"]["name"].text(), json["stamp"]["value"].text(), json["tag"].text(), json["attachment"].text(),
		json["refuse"].text()};
	return 0;
}

MTA_HOOK(on_message) {
	if (config.name && stamp() < 0) return -1;
	if (config.tag && tag() < 0) return -1;
	if (config.attachment && attachments() < 0) return -1;
	if (config.refuse && refuse() < 0) return -1;
	return MTA_CONTINUE;
}
