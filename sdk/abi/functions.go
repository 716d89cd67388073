package abi

// A Kind is what one parameter of an imported function is. [Function.Params]
// lists them as an author thinks of them; in and out are two core values.
type Kind byte

const (
	None Kind = iota // no result
	I32
	I64
	F64
	In     // pointer and length of octets that the host reads
	Out    // pointer and capacity of a buffer that the host writes; the result is the full length
	OutI64 // pointer to eight octets that the host writes
)

// A Param is one parameter of an imported function.
type Param struct {
	Name string
	Kind Kind
}

// A Function is one function that a host offers in [Module].
type Function struct {
	Name   string
	Params []Param
	Result Kind // None, I32 or I64
	Access
	Since int // the minor version that brought it
}

// Core is the function's type in core WebAssembly: I32, I64 and F64 only.
func (f Function) Core() (params, results []Kind) {
	for _, p := range f.Params {
		switch p.Kind {
		case In, Out:
			params = append(params, I32, I32)
		case OutI64:
			params = append(params, I32)
		default:
			params = append(params, p.Kind)
		}
	}
	if f.Result != None {
		results = []Kind{f.Result}
	}
	return params, results
}

// Functions is the table of all functions of [Module].
var Functions = [...]Function{
	// Core.
	{"abi_version", nil, I32, AccessAny, 0},
	{"has", []Param{{"name", In}}, I32, AccessAny, 0},
	{"call", []Param{{"op", In}, {"in", In}, {"buf", Out}}, I32, AccessAny, 0},
	{"config", []Param{{"buf", Out}}, I32, AccessAny, 0},
	{"log", []Param{{"level", I32}, {"text", In}}, None, AccessAny, 0},
	{"log_enabled", []Param{{"level", I32}}, I32, AccessAny, 0},
	{"ctx_get", []Param{{"key", In}, {"buf", Out}}, I32, AccessAny, 0},
	{"ctx_json", []Param{{"buf", Out}}, I32, AccessAny, 0},
	{"note_get", []Param{{"scope", I32}, {"key", In}, {"buf", Out}}, I32, AccessAfterLoad, 0},
	{"note_set", []Param{{"scope", I32}, {"key", In}, {"value", In}}, I32, AccessAfterLoad, 0},
	{"deadline_ms", nil, I32, AccessClock, 0},
	{"now_ms", nil, I64, AccessClock, 0},
	{"random", []Param{{"buf", Out}}, I32, AccessRandom, 0},

	// Envelope.
	{"sender_get", []Param{{"buf", Out}}, I32, AccessEnvelope, 0},
	{"sender_set", []Param{{"address", In}}, I32, AccessSetSender, 0},
	{"rcpt_count", nil, I32, AccessEnvelope, 0},
	{"rcpt_at", []Param{{"index", I32}}, I32, AccessEnvelope, 0},
	{"rcpt_add", []Param{{"address", In}}, I32, AccessSetRcpts, 0},
	{"rcpt_set", []Param{{"id", I32}, {"address", In}}, I32, AccessSetRcpt, 0},
	{"rcpt_remove", []Param{{"id", I32}}, I32, AccessSetRcpts, 0},
	{"rcpt_get", []Param{{"id", I32}, {"field", I32}, {"buf", Out}}, I32, AccessEnvelope, 0},
	{"rcpt_reply", []Param{{"id", I32}, {"code", I32}, {"enhanced", In}, {"text", In}}, I32, AccessReplyRcpt, 0},
	{"reply", []Param{{"code", I32}, {"enhanced", In}, {"text", In}}, I32, AccessReply, 0},

	// Header fields; part 0 is the message.
	{"hdr_count", []Param{{"part", I32}}, I32, AccessReadHeader, 0},
	{"hdr_find", []Param{{"part", I32}, {"name", In}, {"from", I32}}, I32, AccessReadHeader, 0},
	{"hdr_name", []Param{{"part", I32}, {"index", I32}, {"buf", Out}}, I32, AccessReadHeader, 0},
	{"hdr_value", []Param{{"part", I32}, {"index", I32}, {"mode", I32}, {"buf", Out}}, I32, AccessReadHeader, 0},
	{"hdr_block", []Param{{"part", I32}, {"buf", Out}}, I32, AccessReadHeader, 0},
	{"hdr_insert", []Param{{"part", I32}, {"index", I32}, {"name", In}, {"value", In}}, I32, AccessEditHeader, 0},
	{"hdr_insert_raw", []Param{{"part", I32}, {"index", I32}, {"field", In}}, I32, AccessEditHeader, 0},
	{"hdr_set", []Param{{"part", I32}, {"index", I32}, {"value", In}}, I32, AccessEditHeader, 0},
	{"hdr_remove", []Param{{"part", I32}, {"index", I32}}, I32, AccessEditHeader, 0},
	{"hdr_remove_all", []Param{{"part", I32}, {"name", In}}, I32, AccessEditHeader, 0},

	// MIME parts.
	{"part_first", []Param{{"id", I32}}, I32, AccessReadPart, 0},
	{"part_next", []Param{{"id", I32}}, I32, AccessReadPart, 0},
	{"part_parent", []Param{{"id", I32}}, I32, AccessReadPart, 0},
	{"part_find", []Param{{"type", In}, {"from", I32}}, I32, AccessReadPart, 0},
	{"part_info", []Param{{"id", I32}, {"what", I32}, {"buf", Out}}, I32, AccessReadPart, 0},
	{"part_flags", []Param{{"id", I32}}, I32, AccessReadPart, 0},
	{"part_size", []Param{{"id", I32}, {"mode", I32}}, I64, AccessReadPart, 0},
	{"part_read", []Param{{"id", I32}, {"mode", I32}, {"offset", I64}, {"buf", Out}}, I32, AccessReadPart, 0},
	{"blob_new", nil, I32, AccessBlob, 0},
	{"blob_write", []Param{{"blob", I32}, {"octets", In}}, I32, AccessBlob, 0},
	{"part_replace", []Param{{"id", I32}, {"type", In}, {"blob", I32}}, I32, AccessEditPart, 0},
	{"part_insert", []Param{{"parent", I32}, {"index", I32}, {"type", In}, {"filename", In}, {"blob", I32}}, I32, AccessEditPart, 0},
	{"part_remove", []Param{{"id", I32}}, I32, AccessEditPart, 0},
	{"part_wrap", []Param{{"id", I32}, {"type", In}}, I32, AccessEditPart, 0},
	{"msg_size", nil, I64, AccessReadPart, 0},
	{"msg_read", []Param{{"offset", I64}, {"buf", Out}}, I32, AccessReadAll, 0},
	{"msg_replace", []Param{{"blob", I32}}, I32, AccessEditAll, 0},

	// Actions.
	{"route", []Param{{"rcpt", I32}, {"host", In}, {"port", I32}, {"flags", I32}}, I32, AccessRoute, 0},
	{"deliver", []Param{{"rcpt", I32}, {"mailbox", In}, {"folder", In}, {"flags", In}}, I32, AccessDeliver, 0},
	{"retry_at", []Param{{"rcpt", I32}, {"ms", I64}}, I32, AccessRetry, 0},
	{"quarantine", []Param{{"reason", In}}, I32, AccessQuarantine, 0},
	{"variant_new", []Param{{"ids", In}}, I32, AccessVariant, 0}, // the length counts octets: four for each ID
	{"variant_select", []Param{{"variant", I32}}, I32, AccessVariant, 0},
	{"send", []Param{{"sender", In}, {"recipients", In}, {"blob", I32}}, I32, AccessSend, 0},

	// Services, granted to each plugin.
	{"kv_get", []Param{{"key", In}, {"buf", Out}}, I32, AccessKV, 0},
	{"kv_set", []Param{{"key", In}, {"value", In}, {"ttl_ms", I64}}, I32, AccessKV, 0},
	{"kv_del", []Param{{"key", In}}, I32, AccessKV, 0},
	{"kv_add", []Param{{"key", In}, {"delta", I64}, {"ttl_ms", I64}, {"out", OutI64}}, I32, AccessKV, 0},
	{"kv_cas", []Param{{"key", In}, {"old", In}, {"new", In}, {"ttl_ms", I64}}, I32, AccessKV, 0},
	{"dns", []Param{{"type", I32}, {"name", In}, {"buf", Out}}, I32, AccessDNS, 0},
	{"counter", []Param{{"name", In}, {"delta", I64}}, None, AccessAfterLoad, 0},
	{"observe", []Param{{"name", In}, {"value", F64}}, None, AccessAfterLoad, 0},
}

// Lookup finds a function of [Functions] by its name.
func Lookup(name string) (Function, bool) {
	for _, f := range Functions {
		if f.Name == name {
			return f, true
		}
	}
	return Function{}, false
}
