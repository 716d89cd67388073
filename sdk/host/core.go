package host

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// AbiVersion is abi_version.
func (c *Call) AbiVersion() int32 { return abi.Version }

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

// DeadlineMS is deadline_ms: how long the plugin may still take. Without a
// deadline it is the largest number.
func (c *Call) DeadlineMS() int32 {
	if e := c.may(abi.AccessClock); e != abi.OK {
		return int32(e)
	}
	if c.in.Deadline.IsZero() {
		return math.MaxInt32
	}
	left := c.in.Deadline.Sub(c.in.Now()) / time.Millisecond
	return int32(min(max(left, 0), math.MaxInt32))
}

// NowMS is now_ms: milliseconds since 1970, UTC.
func (c *Call) NowMS() int64 {
	if e := c.may(abi.AccessClock); e != abi.OK {
		return int64(e)
	}
	return c.in.Now().UnixMilli()
}

// Random is random: it fills p, and returns its length.
func (c *Call) Random(p []byte) int32 {
	if e := c.may(abi.AccessRandom); e != abi.OK {
		return int32(e)
	}
	if len(p) > c.limits.RandomOctets {
		return int32(abi.Limit)
	}
	if _, err := io.ReadFull(c.in.Random, p); err != nil {
		return int32(abi.IO)
	}
	return int32(len(p))
}
