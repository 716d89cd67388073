#include "mta.hpp"

static std::string lines;

static void text(std::string_view name, const mta::result<std::string> &s) {
	lines += std::string(name) + " " + (s ? *s : std::string("error")) + "\n";
}

static void number(std::string_view name, int64_t n) {
	text(name, n < 0 ? mta::result<std::string>::failed(-1) : mta::result<std::string>(std::to_string(n)));
}

static void core(mta::json config) {
	number("version", mta_abi_version() >> 16);
	number("has", mta_has(MTA_S("hdr_find")) * 10 + mta_has(MTA_S("nope")));
	text("call", mta::call("org.example.none", "x"));
	text("config", config["greeting"].text().value_or("error"));
	auto items = config["list"].items();
	number("items", static_cast<int64_t>(items.size()));
	text("last", items.back().second.text().value_or("error"));
	number("n", -config["n"].integer().value_or(0));
	number("null", !config["nothing"]);
	mta::log(MTA_LEVEL_INFO, "on tour");
	number("log", mta_log_enabled(MTA_LEVEL_ERROR));
	text("context", mta::context("/client/ehlo"));
	text("missing", mta::context("/nope"));
	auto context = mta::context_json();
	text("json", mta::json(*context)["stage"].text().value_or("error"));
	mta::set_note(MTA_SCOPE_TRANSACTION, "k", "v");
	text("note", mta::note(MTA_SCOPE_TRANSACTION, "k"));
	number("clock", mta_deadline_ms() > 0 && mta_now_ms() > 0);
	char octets[8];
	number("random", mta_random(octets, sizeof octets) >= 0);
}

static void envelope() {
	mta::set_sender("carol@crepes.fr");
	text("sender", mta::sender());
	number("recipients", static_cast<int64_t>(mta::recipients().size()));
	mta::recipient added{mta::add_recipient("dave@hamburger.edu")};
	added.set("erin@hamburger.edu");
	text("added", added.address());
	number("remove", added.remove());
	text("first", mta::recipients()[0].address());
	number("refuse", mta::recipients()[1].refuse(550, "5.7.1", "No"));
}

static void header() {
	number("fields", mta::root.field_count());
	auto subject = mta::root.find("subject");
	text("name", subject->name());
	text("decoded", subject->value());
	text("unfolded", subject->value(MTA_HDR_UNFOLDED));
	number("block", static_cast<int64_t>(mta::root.header()->size()));
	mta::root.insert_field(MTA_INDEX_TOP, "X-Top", "top");
	mta::root.insert_raw_field(MTA_INDEX_BOTTOM, "X-Raw: raw");
	mta::root.find("X-Set")->set("set");
	mta::root.find("X-Gone")->remove();
	number("removed", mta::root.remove_fields("X-Old"));
	text("none", mta::root.get("X-Old"));
}

static void tree() {
	std::vector<mta::part> parts;
	for (auto part : mta::root.children()) parts.push_back(part);
	auto one = parts[0], two = parts[1];
	number("parent", mta_part_parent(two.id));
	number("found", mta_part_find(MTA_S("text/*"), MTA_ROOT) == one.id);
	text("type", two.type());
	text("filename", two.filename());
	number("flags", two.flags());
	number("size", two.size());
	text("text", two.content());
	number("replace", one.replace("text/plain; charset=utf-8", "Bonjour\r\n"));
	number("insert", mta::root.insert(MTA_INDEX_BOTTOM, "text/plain", "b.txt", "B") > 0);
	number("wrap", one.wrap("multipart/alternative") > 0);
	number("gone", two.remove());
	number("message", mta::has_prefix(*mta::message(), "X-Top"));
}

static void actions() {
	auto first = mta::recipients()[0];
	number("route", first.route("mx.example.org", 25, MTA_ROUTE_REQUIRE_TLS));
	number("deliver", mta::everyone.deliver("bob", "Archive", "\\Seen"));
	number("retry", first.retry_at(1));
	number("quarantine", mta::quarantine("on tour"));
	number("variant", mta::variant({first}) > 0);
	mta::root.insert_field(MTA_INDEX_TOP, "X-Variant", "1");
	number("main", mta_variant_select(0));
	number("send", mta::send("carol@crepes.fr", "frank@example.org", "Subject: hi\r\n\r\nhi\r\n"));
}

static void services() {
	text("kv none", mta::kv::get("k"));
	mta::kv::set("k", "v", 60000);
	text("kv set", mta::kv::get("k"));
	number("kv add", mta::kv::add("n", 2).value_or(-1));
	number("kv swap", mta::kv::compare_and_swap("k", "v", "w"));
	text("kv now", mta::kv::get("k"));
	number("kv remove", mta::kv::remove("k"));
	text("dns", mta::dns(16, "example.org"));
	mta::count("tours");
	mta::observe("length", 0.5);
}

MTA_HOOK(on_load) { return 0; }

MTA_HOOK(on_message) {
	auto text = mta::config();
	mta::json config(*text);
	if (config["replace"].is_true())
		return mta::replace_message("Subject: new\r\n\r\nnew\r\n") < 0 ? mta::fail(-1, "replace") : MTA_CONTINUE;
	core(config);
	envelope();
	header();
	tree();
	actions();
	services();
	mta::set_note(MTA_SCOPE_TRANSACTION, "tour", lines);
	return MTA_CONTINUE;
}

MTA_HOOK(on_rcpt) { return mta::reject(550, "5.1.1", "No tour"); }
MTA_HOOK(on_mail) { return mta::defer(450, "4.2.0", "Later"); }
MTA_HOOK(on_helo) { return mta::disconnect(421, "4.3.2", "Closed"); }

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
