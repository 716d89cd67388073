// mta.hpp is mta.h for C++ (C++17): strings instead of buffers, and ranges to
// walk over. It allocates; where that matters, the functions of mta.h are there
// too, and all that needs no string is used from there.
//
//	#include "mta.hpp"
//
//	MTA_HOOK(on_message) {
//		mta::root.insert_field(MTA_INDEX_TOP, "X-Hello", "from C++");
//		return MTA_CONTINUE;
//	}
//
// Plugins are compiled without exceptions: what can fail is a mta::result, and
// errors are numbers (MTA_ERR_...), zero or more being success.
#ifndef MTA_HPP
#define MTA_HPP

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mta.h"

namespace mta {

using std::string;
using std::string_view;

inline mta_str str(string_view s) { return mta_bytes(s.data(), s.size()); }
inline string_view view(mta_str s) { return {s.p, s.n}; }

// A result is a value, or the number of an error.
template <class T>
class result {
	T value_{};
	int32_t error_ = 0;

public:
	result(T value) : value_(std::move(value)) {}
	static result failed(int32_t error) {
		result r{T{}};
		r.error_ = error;
		return r;
	}

	explicit operator bool() const { return error_ == 0; }
	int32_t error() const { return error_; }
	bool not_found() const { return error_ == MTA_ERR_NOT_FOUND; }
	T &operator*() { return value_; }
	const T &operator*() const { return value_; }
	T *operator->() { return &value_; }
	T value_or(T other) const { return error_ == 0 ? value_ : std::move(other); }
};

// read calls f(buffer, capacity), again if the buffer was too small.
template <class F>
result<string> read(F f) {
	string s(256, '\0');
	for (;;) {
		int32_t n = f(s.data(), s.size());
		if (n < 0) return result<string>::failed(n);
		bool fits = static_cast<size_t>(n) <= s.size();
		s.resize(static_cast<size_t>(n));
		if (fits) return s;
	}
}

// read_all calls f(offset, buffer, capacity) until nothing is left.
template <class F>
result<string> read_all(int64_t size, F f) {
	if (size < 0) return result<string>::failed(static_cast<int32_t>(size));
	string s(static_cast<size_t>(size), '\0');
	size_t got = 0;
	while (got < s.size()) {
		int32_t n = f(static_cast<int64_t>(got), s.data() + got, s.size() - got);
		if (n < 0) return result<string>::failed(n);
		if (n == 0) break;
		got += static_cast<size_t>(n);
	}
	s.resize(got);
	return s;
}

// A range walks over IDs: Next gives the one after, or a negative number.
template <int32_t (*Next)(int32_t), class T>
class range {
	int32_t first_;

public:
	explicit range(int32_t first) : first_(first) {}
	struct iterator {
		int32_t at;
		T operator*() const { return T{at}; }
		iterator &operator++() {
			at = Next(at);
			return *this;
		}
		bool operator!=(const iterator &) const { return at >= 0; }
	};
	iterator begin() const { return {first_}; }
	iterator end() const { return {-1}; }
};

// ---- Core --------------------------------------------------------------

inline void log(int32_t level, string_view text) { mta_log(level, str(text)); }
inline result<string> config() { return read(mta_config); }
// context is one value of the session or the message: "/client/ip".
inline result<string> context(string_view key) {
	return read([=](char *p, size_t n) { return mta_ctx_get(str(key), p, n); });
}
inline result<string> context_json() { return read(mta_ctx_json); }
inline result<string> note(int32_t scope, string_view key) {
	return read([=](char *p, size_t n) { return mta_note_get(scope, str(key), p, n); });
}
inline int32_t set_note(int32_t scope, string_view key, string_view value) { return mta_note_set(scope, str(key), str(value)); }
inline result<string> call(string_view op, string_view in) {
	return read([=](char *p, size_t n) { return mta_call(str(op), str(in), p, n); });
}

// Verdicts with words, and what a hook returns that cannot do its work.
inline int32_t reject(int32_t code, string_view enhanced, string_view text) { return mta_reject(code, str(enhanced), str(text)); }
inline int32_t defer(int32_t code, string_view enhanced, string_view text) { return mta_defer(code, str(enhanced), str(text)); }
inline int32_t disconnect(int32_t code, string_view enhanced, string_view text) { return mta_disconnect(code, str(enhanced), str(text)); }
inline int32_t quarantine(string_view reason) { return mta_quarantine(str(reason)); }
inline int32_t refuse(string_view text) { return mta_refuse(str(text)); }
inline int32_t fail(int32_t err, string_view what) { return mta_fail(err, str(what)); }

// ---- Envelope ----------------------------------------------------------

inline result<string> sender() { return read(mta_sender_get); }
inline int32_t set_sender(string_view address) { return mta_sender_set(str(address)); }

// A recipient is one forward-path of the envelope.
struct recipient {
	int32_t id;

	result<string> get(int32_t field) const {
		return read([this, field](char *p, size_t n) { return mta_rcpt_get(id, field, p, n); });
	}
	result<string> address() const { return get(MTA_RCPT_ADDRESS); }
	int32_t set(string_view address) const { return mta_rcpt_set(id, str(address)); }
	int32_t remove() const { return mta_rcpt_remove(id); }
	// refuse is for this recipient alone; code is 400 to 599.
	int32_t refuse(int32_t code, string_view enhanced, string_view text) const {
		return mta_rcpt_reply(id, code, str(enhanced), str(text));
	}
	int32_t route(string_view host, int32_t port = 0, int32_t flags = 0) const { return mta_route(id, str(host), port, flags); }
	int32_t deliver(string_view mailbox, string_view folder = "", string_view flags = "") const {
		return mta_deliver(id, str(mailbox), str(folder), str(flags));
	}
	int32_t retry_at(int64_t ms) const { return mta_retry_at(id, ms); }
};

inline constexpr recipient everyone{MTA_ALL_RECIPIENTS}; // for route, deliver and retry_at

// recipients are all there are now; some may be removed on the way.
inline std::vector<recipient> recipients() {
	std::vector<recipient> all;
	for (int32_t i = 0, n = mta_rcpt_count(); i < n; i++)
		if (int32_t id = mta_rcpt_at(i); id >= 0) all.push_back({id});
	return all;
}
inline int32_t add_recipient(string_view address) { return mta_rcpt_add(str(address)); }

// ---- Content -----------------------------------------------------------

// A field is a header field, until one above it is inserted or removed.
struct field {
	int32_t part, index;

	result<string> name() const {
		return read([this](char *p, size_t n) { return mta_hdr_name(part, index, p, n); });
	}
	// value is without line breaks, encoded words as UTF-8; see MTA_HDR_...
	result<string> value(int32_t mode = MTA_HDR_DECODED) const {
		return read([this, mode](char *p, size_t n) { return mta_hdr_value(part, index, mode, p, n); });
	}
	int32_t set(string_view value) const { return mta_hdr_set(part, index, str(value)); }
	int32_t remove() const { return mta_hdr_remove(part, index); }
};

// A part is one of the MIME tree; root is the message.
struct part {
	int32_t id;

	result<field> find(string_view name, int32_t from = 0) const {
		int32_t i = mta_hdr_find(id, str(name), from);
		return i < 0 ? result<field>::failed(i) : result<field>(field{id, i});
	}
	// get is the value of the first field of that name.
	result<string> get(string_view name) const {
		auto f = find(name);
		return f ? f->value() : result<string>::failed(f.error());
	}
	int32_t field_count() const { return mta_hdr_count(id); }
	field at(int32_t index) const { return {id, index}; }
	result<string> header() const {
		return read([this](char *p, size_t n) { return mta_hdr_block(id, p, n); });
	}
	int32_t insert_field(int32_t index, string_view name, string_view value) const {
		return mta_hdr_insert(id, index, str(name), str(value));
	}
	int32_t insert_raw_field(int32_t index, string_view field) const { return mta_hdr_insert_raw(id, index, str(field)); }
	int32_t remove_fields(string_view name) const { return mta_hdr_remove_all(id, str(name)); }

	result<string> info(int32_t what) const {
		return read([this, what](char *p, size_t n) { return mta_part_info(id, what, p, n); });
	}
	result<string> type() const { return info(MTA_PART_TYPE); }
	result<string> filename() const { return info(MTA_PART_FILENAME); }
	int32_t flags() const { return mta_part_flags(id); }
	int64_t size(int32_t mode = MTA_READ_DECODED) const { return mta_part_size(id, mode); }
	// content is all of it: MTA_READ_DECODED are the octets, MTA_READ_TEXT is UTF-8.
	result<string> content(int32_t mode = MTA_READ_TEXT) const {
		return read_all(size(mode), [this, mode](int64_t at, void *p, size_t n) { return mta_part_read(id, mode, at, p, n); });
	}
	int32_t replace(string_view type, string_view octets) const {
		int32_t blob = mta_blob(str(octets));
		return blob < 0 ? blob : mta_part_replace(id, str(type), blob);
	}
	// insert makes a part below this one; it gives the new ID.
	int32_t insert(int32_t index, string_view type, string_view filename, string_view octets) const {
		int32_t blob = mta_blob(str(octets));
		return blob < 0 ? blob : mta_part_insert(id, index, str(type), str(filename), blob);
	}
	int32_t remove() const { return mta_part_remove(id); }
	int32_t wrap(string_view type) const { return mta_part_wrap(id, str(type)); }
	range<mta_part_next, part> children() const { return range<mta_part_next, part>(mta_part_first(id)); }
};

inline constexpr part root{MTA_ROOT};

// parts are all parts, the message first, each before its children.
inline range<mta_part_after, part> parts() { return range<mta_part_after, part>(MTA_ROOT); }

inline result<string> message() {
	return read_all(mta_msg_size(), [](int64_t at, void *p, size_t n) { return mta_msg_read(at, p, n); });
}
inline int32_t replace_message(string_view octets) {
	int32_t blob = mta_blob(str(octets));
	return blob < 0 ? blob : mta_msg_replace(blob);
}

// variant makes a copy of the message for some recipients, and selects it.
inline int32_t variant(const std::vector<recipient> &rcpts) {
	std::vector<int32_t> ids;
	for (auto r : rcpts) ids.push_back(r.id);
	int32_t v = mta_variant_new(ids.data(), ids.size());
	int32_t n = v < 0 ? v : mta_variant_select(v);
	return n < 0 ? n : v;
}

// send originates a message; recipients are addresses, one a line.
inline int32_t send(string_view sender, string_view recipients, string_view octets) {
	int32_t blob = mta_blob(str(octets));
	return blob < 0 ? blob : mta_send(str(sender), str(recipients), blob);
}

// ---- Services ----------------------------------------------------------

namespace kv {
inline result<string> get(string_view key) {
	return read([=](char *p, size_t n) { return mta_kv_get(str(key), p, n); });
}
inline int32_t set(string_view key, string_view value, int64_t ttl_ms = 0) { return mta_kv_set(str(key), str(value), ttl_ms); }
inline int32_t remove(string_view key) { return mta_kv_del(str(key)); }
inline result<int64_t> add(string_view key, int64_t delta, int64_t ttl_ms = 0) {
	int64_t now = 0;
	int32_t n = mta_kv_add(str(key), delta, ttl_ms, &now);
	return n < 0 ? result<int64_t>::failed(n) : result<int64_t>(now);
}
// compare_and_swap gives 1, or 0 if the value is not the old one; see mta_kv_cas.
inline int32_t compare_and_swap(string_view key, string_view old_value, string_view new_value, int64_t ttl_ms = 0) {
	return mta_kv_cas(str(key), str(old_value), str(new_value), ttl_ms);
}
} // namespace kv

inline result<string> dns(int32_t type, string_view name) {
	return read([=](char *p, size_t n) { return mta_dns(type, str(name), p, n); });
}
inline void count(string_view name, int64_t delta = 1) { mta_counter(str(name), delta); }
inline void observe(string_view name, double value) { mta_observe(str(name), value); }

// json is a value of the configuration; see mta_json.
class json {
	mta_json v_;

public:
	explicit json(string_view text) : v_(str(text)) {}
	explicit json(mta_json v) : v_(v) {}
	explicit operator bool() const { return v_.p != nullptr; } // there is such a value
	json operator[](string_view key) const { return json(mta_json_get(v_, str(key))); }
	string_view raw() const { return view(v_); }

	std::optional<string> text() const {
		auto s = read([this](char *p, size_t n) { return mta_json_text(v_, p, n); });
		return s ? std::optional<string>(std::move(*s)) : std::nullopt;
	}
	std::optional<int64_t> integer() const {
		int64_t n;
		return mta_json_int(v_, &n) ? std::optional<int64_t>(n) : std::nullopt;
	}
	bool is_true() const { return mta_json_true(v_); }
	// items are the values of an array or an object, with the keys of the latter.
	std::vector<std::pair<string, json>> items() const {
		std::vector<std::pair<string, json>> all;
		size_t i = 0;
		for (mta_json k = mta_bytes(nullptr, 0), v; v_.p != nullptr && mta_json_each(v_, &i, &k, &v);)
			all.emplace_back(json(k).text().value_or(""), json(v));
		return all;
	}
};

inline bool equal_fold(string_view a, string_view b) { return mta_equal_fold(str(a), str(b)); }
inline bool has_prefix(string_view s, string_view prefix) { return s.substr(0, prefix.size()) == prefix; }

} // namespace mta

#endif
