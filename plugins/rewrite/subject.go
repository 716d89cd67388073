package main

import (
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// prefixSubject puts a prefix before the subject, once. A reply to a subject
// that has it counts as having it: "Re: [EXT] Hello".
func prefixSubject(h mta.Header, prefix string) (bool, error) {
	field, ok := h.First("Subject")
	if !ok {
		return true, h.Add("Subject", strings.TrimRight(prefix, " "))
	}
	value := field.Value()
	if strings.HasPrefix(cutReplies(value), strings.TrimRight(prefix, " ")) {
		return false, nil
	}
	// Encoded words stay as they are where nothing has to be encoded anew.
	if raw := field.Unfolded(); isASCII(prefix) && isASCII(raw) && strings.HasSuffix(prefix, " ") {
		value = raw
	}
	return true, field.Set(prefix + mta.Line(value))
}

// maxReplyMark is the most letters before the colon of "Re:", "Antw:".
const maxReplyMark = 4

// cutReplies cuts "Re: ", "Fwd: ", "AW: ", "Re[2]: " from the front.
func cutReplies(s string) string {
	for {
		s = strings.TrimLeft(s, " \t")
		n := 0
		for n < len(s) && ('a' <= s[n]|0x20 && s[n]|0x20 <= 'z') {
			n++
		}
		rest := s[n:]
		if strings.HasPrefix(rest, "[") {
			if end := strings.IndexByte(rest, ']'); end > 0 && strings.Trim(rest[1:end], "0123456789") == "" {
				rest = rest[end+1:]
			}
		}
		if n == 0 || n > maxReplyMark || !strings.HasPrefix(rest, ":") {
			return s
		}
		s = rest[1:]
	}
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
