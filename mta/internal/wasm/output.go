package wasm

import (
	"bytes"
	"log/slog"
)

// The bounds of what a guest writes to its stdout and stderr: a panic of a Go
// guest writes hundreds of lines.
const (
	maxOutput     = 8 << 10 // octets of one call that are looked at
	maxOutputLine = 400     // octets of one line that are logged
)

// output takes what a guest writes to stdout and stderr. Lines go to the debug
// log; the first one of a call is kept, as it often says why the guest died.
type output struct {
	log     *slog.Logger
	written int
	line    []byte
	opening string
}

// Write implements [io.Writer]. It never fails: what is too much is dropped.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if room := maxOutput - o.written; len(p) > room {
		p = p[:max(room, 0)]
	}
	o.written += n
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			o.line = append(o.line, p...)
			break
		}
		o.line = append(o.line, p[:i]...)
		o.flush()
		p = p[i+1:]
	}
	return n, nil
}

func (o *output) flush() {
	line := string(bytes.TrimSpace(o.line[:min(len(o.line), maxOutputLine)]))
	o.line = o.line[:0]
	if line == "" {
		return
	}
	if o.opening == "" {
		o.opening = line
	}
	o.log.Debug("plugin output", "line", line)
}

// reset begins a new call.
func (o *output) reset() {
	o.flush()
	o.written, o.opening = 0, ""
}

// first is the first line of this call.
func (o *output) first() string {
	o.flush()
	return o.opening
}
