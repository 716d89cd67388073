package host

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// later are the functions that are in the table and not served yet.
var later = map[string]bool{
	"call": true, "retry_at": true, "variant_new": true, "variant_select": true, "send": true,
	"kv_get": true, "kv_set": true, "kv_del": true, "kv_add": true, "kv_cas": true,
	"dns": true, "counter": true, "observe": true,
}

// AbiVersion is abi_version.
func (c *Call) AbiVersion() int32 { return abi.Version }

// Has is has: 1 if the function or operation of that name is served.
func (c *Call) Has(name string) int32 {
	if _, ok := abi.Lookup(name); ok && !later[name] {
		return 1
	}
	return 0
}

// Call is call, the extension point: no operation is known yet.
func (c *Call) Call(op string, in []byte) ([]byte, abi.Errno) { return nil, abi.Unsupported }

// Config is config: the plugin's configuration as JSON, `{}` without one.
func (c *Call) Config() ([]byte, abi.Errno) {
	if len(c.in.Config) == 0 {
		return []byte("{}"), abi.OK
	}
	return c.in.Config, abi.OK
}

// Log is log. What is over [Limits].LogOctets is dropped, and said so once.
func (c *Call) Log(level abi.Level, text string) {
	if c.LogEnabled(level) == 0 || c.logFull {
		return
	}
	c.logged += len(text) + 1
	if c.logged > c.limits.LogOctets {
		c.logFull = true
		level, text = abi.LevelWarn, "this call's log is full, the rest of it is dropped"
	}
	c.in.Log(level, text)
}

// LogEnabled is log_enabled: 1 if a line of that level is kept.
func (c *Call) LogEnabled(level abi.Level) int32 {
	if c.in.Log == nil || level < c.in.Level || level > abi.LevelError {
		return 0
	}
	return 1
}

// CtxGet is ctx_get: one value of the context by its key, as text.
func (c *Call) CtxGet(key string) (string, abi.Errno) {
	value, ok := contextKeys[key]
	if !ok {
		return "", abi.NotFound
	}
	if s := value(c); s != "" {
		return s, abi.OK
	}
	return "", abi.NotFound
}

// CtxJSON is ctx_json: the whole context.
func (c *Call) CtxJSON() ([]byte, abi.Errno) {
	if c.contextAsJSON != nil {
		return c.contextAsJSON, abi.OK
	}
	b, err := json.Marshal(struct {
		Stage string `json:"stage"`
		Context
	}{stageName(c.in.Hook), c.in.Context})
	if err != nil {
		return nil, abi.IO
	}
	c.contextAsJSON = b
	return b, abi.OK
}

// NoteGet is note_get. Only the scope of the transaction is served.
func (c *Call) NoteGet(scope int32, key string) (string, abi.Errno) {
	if e := noteScope(scope); e != abi.OK {
		return "", e
	}
	notes := c.notes
	if notes == nil {
		notes = c.in.Notes
	}
	v, ok := notes[key]
	if !ok {
		return "", abi.NotFound
	}
	return v, abi.OK
}

// NoteSet is note_set: later stages of the same message see the note.
func (c *Call) NoteSet(scope int32, key, value string) abi.Errno {
	if e := noteScope(scope); e != abi.OK {
		return e
	}
	if key == "" || len(key) > c.limits.NoteKey || hasLineBreak(key) {
		return abi.BadArg
	}
	c.copyNotes()
	size := c.notesOctets + len(value)
	if old, ok := c.notes[key]; ok {
		size -= len(old)
	} else {
		size += len(key)
	}
	if size > c.limits.NotesOctets {
		return abi.Limit
	}
	c.notes[key], c.notesOctets = value, size
	return abi.OK
}

func noteScope(scope int32) abi.Errno {
	switch scope {
	case abi.ScopeTransaction:
		return abi.OK
	case abi.ScopeConnection, abi.ScopeQueued:
		return abi.Unsupported
	}
	return abi.BadArg
}

// copyNotes makes the notes of the transaction ours to change.
func (c *Call) copyNotes() {
	if c.notes != nil {
		return
	}
	c.notes = make(map[string]string, len(c.in.Notes)+1)
	for k, v := range c.in.Notes {
		c.notes[k] = v
		c.notesOctets += len(k) + len(v)
	}
}

// DeadlineMS is deadline_ms: how long the plugin may still take. Without a
// deadline it is the largest number.
func (c *Call) DeadlineMS() int32 {
	if c.in.Deadline.IsZero() {
		return math.MaxInt32
	}
	left := c.in.Deadline.Sub(c.in.Now()) / time.Millisecond
	return int32(min(max(left, 0), math.MaxInt32))
}

// NowMS is now_ms: milliseconds since 1970, UTC.
func (c *Call) NowMS() int64 { return c.in.Now().UnixMilli() }

// Random is random: it fills p.
func (c *Call) Random(p []byte) abi.Errno {
	if len(p) > c.limits.RandomOctets {
		return abi.Limit
	}
	if _, err := io.ReadFull(c.in.Random, p); err != nil {
		return abi.IO
	}
	return abi.OK
}
