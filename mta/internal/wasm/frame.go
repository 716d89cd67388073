package wasm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The bounds of a frame from a guest.
const (
	maxFrameHead = 24      // octets of the line with the lengths
	maxFrameJSON = 1 << 20 // octets
)

// A frame is what a loop and its host say to each other (sdk/WASI.md).
type frame struct {
	json   []byte
	octets []byte
}

// encode is the frame as it is written.
func (f frame) encode() []byte {
	b := make([]byte, 0, maxFrameHead+len(f.json)+len(f.octets))
	b = fmt.Appendf(b, "%d %d\n", len(f.json), len(f.octets))
	b = append(b, f.json...)
	return append(b, f.octets...)
}

var errFrame = errors.New("what was written is no frame")

// parseFrame takes a frame from the front of b, with octets up to most. n is
// its length, zero if it is not all there.
func parseFrame(b []byte, most int) (f frame, n int, err error) {
	head, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		if len(b) > maxFrameHead {
			return frame{}, 0, errFrame
		}
		return frame{}, 0, nil
	}
	first, second, ok := bytes.Cut(head, []byte(" "))
	j, ok1 := length(first, maxFrameJSON)
	o, ok2 := length(second, most)
	if !ok || !ok1 || !ok2 {
		return frame{}, 0, fmt.Errorf("%w: it begins with %q", errFrame, cut(string(head)))
	}
	if len(rest) < j+o {
		return frame{}, 0, nil
	}
	return frame{rest[:j], rest[j : j+o]}, len(head) + 1 + j + o, nil
}

func length(b []byte, most int) (int, bool) {
	n, err := strconv.ParseUint(string(b), 10, 31)
	return int(n), err == nil && int(n) <= most
}

// object reads a JSON object, which may have no members but those of v.
func object(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("what was written is no object that is known: %w", err)
	}
	if dec.More() {
		return errors.New("what was written is more than one object")
	}
	return nil
}
