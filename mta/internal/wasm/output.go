package wasm

import (
	"bytes"
	"log/slog"

	"github.com/wasmta/wasmta/sdk/abi"
)

// maxOutputLine is how many octets of one line are logged.
const maxOutputLine = 400

// output takes what a guest writes to stdout and stderr. Lines go to the debug
// log, within what the call may log: a panic of a Go guest writes hundreds of
// them. The first one of a call is kept, as it often says why the guest died.
type output struct {
	log     *slog.Logger
	gauge   *gauge
	line    []byte
	opening string
}

// Write implements [io.Writer]. It never fails: what is too much is dropped.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	o.gauge.copied(n)
	if room := o.gauge.budget.LogOctets - o.gauge.logged; len(p) > room {
		p = p[:max(room, 0)]
	}
	o.gauge.logged += n
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
	o.opening = ""
}

// first is the first line of this call.
func (o *output) first() string {
	o.flush()
	return o.opening
}

// log is the function log: what is over the call's budget is dropped, but
// counted.
func (g *guest) log(level abi.Level, text string) {
	g.gauge.logged += len(text) + 1
	g.Log(level, text)
}
