package wasm

import (
	"bytes"
	"io"
	"regexp"
)

// lastWords passes on what a command writes to stderr, and keeps the last line
// that is a reply.
type lastWords struct {
	output         io.Writer
	line           []byte
	enhanced, text string
}

// maxLine is how much of a line is looked at: more than a reply has.
const maxLine = 1000

// replyLine is an enhanced status code that refuses (RFC 3463 §2), and a text.
var replyLine = regexp.MustCompile(`^([45]\.[0-9]{1,3}\.[0-9]{1,3}) +(.*[^ ]) *$`)

// Write implements [io.Writer].
func (w *lastWords) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		w.line = append(w.line, line[:min(len(line), maxLine-len(w.line))]...)
		if ended {
			w.end()
		}
		rest = after
	}
	return w.output.Write(p)
}

func (w *lastWords) end() {
	if m := replyLine.FindSubmatch(bytes.TrimRight(w.line, "\r")); m != nil {
		w.enhanced, w.text = string(m[1]), string(m[2])
	}
	w.line = w.line[:0]
}

// reply is the last line that was one, if there was any.
func (w *lastWords) reply() (enhanced, text string) {
	w.end()
	return w.enhanced, w.text
}
