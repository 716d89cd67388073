// Every message of some domains goes to an archive too, with the envelope in
// fields of its own: what Bcc: hides has to be found there.
#include "mta.hpp"

using std::string;
using std::string_view;

namespace {

struct {
	string to;
	std::vector<string> domains; // empty: every message
} config;

bool is_ours(string_view address) {
	auto at = address.rfind('@');
	if (config.domains.empty()) return true;
	return at != string_view::npos &&
		std::any_of(config.domains.begin(), config.domains.end(), [&](auto &d) { return mta::equal_fold(address.substr(at + 1), d); });
}

// is_already_there tells whether the archive is written to anyway.
bool is_already_there(const std::vector<string> &rcpts) {
	return std::any_of(rcpts.begin(), rcpts.end(), [](auto &r) { return mta::equal_fold(r, config.to); });
}

string joined(const std::vector<string> &list) {
	string s;
	for (auto &item : list) s += (s.empty() ? "" : ", ") + item;
	return s;
}

} // namespace

MTA_HOOK(on_load) {
	auto text = mta::config();
	if (!text) return mta::fail(text.error(), "the configuration cannot be read");
	mta::json json(*text);
	config.to = json["to"].text().value_or("");
	config.domains.clear();
	for (auto [key, domain] : json["domains"].items()) config.domains.push_back(domain.text().value_or(""));
	return config.to.empty() ? mta::refuse("to: is missing; name the archive's address") : 0;
}

// The archive is a recipient with a message of its own: the others do not see
// the fields.
MTA_HOOK(on_message) {
	auto sender = mta::sender();
	std::vector<string> rcpts;
	for (auto rcpt : mta::recipients()) rcpts.push_back(rcpt.address().value_or(""));
	bool ours = is_ours(*sender) || std::any_of(rcpts.begin(), rcpts.end(), is_ours);
	if (!ours || is_already_there(rcpts)) return MTA_CONTINUE;

	int32_t archive = mta::add_recipient(config.to);
	if (archive < 0) return mta::fail(archive, "the archive cannot be a recipient");
	int32_t copy = mta::variant({mta::recipient{archive}});
	if (copy < 0) return mta::fail(copy, "the archive cannot have a copy of its own");
	mta_variant_select(copy);
	int32_t err = mta::root.insert_field(MTA_INDEX_TOP, "X-Envelope-To", joined(rcpts));
	if (err >= 0) err = mta::root.insert_field(MTA_INDEX_TOP, "X-Envelope-From", "<" + *sender + ">");
	return err < 0 ? mta::fail(err, "the copy cannot be marked") : MTA_CONTINUE;
}
