package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxReplyText is what a line of a reply holds beside its code, a blank, an
// enhanced code and CRLF (512 octets in all, RFC 5321 §4.5.3.1.5).
const maxReplyText = 512 - len("250 ") - len("5.123.123 ") - len("\r\n")

// Append appends r as it goes over the wire. Whatever its text holds, the
// lines are printable and each ends in CRLF: an octet that cannot be sent is a
// question mark. With utf8 unset that is every octet above 127 (RFC 6531 §3.7.4).
func (r *Reply) Append(dst []byte, utf8 bool) []byte {
	code := r.Code
	if code < 200 || code > 599 {
		code = ErrTemporary.Code
	}
	text := r.Text
	for {
		line, rest, more := cutLine(text)
		dst = strconv.AppendInt(dst, int64(code), 10)
		if more {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		if r.Enh != (Enh{}) {
			dst = r.Enh.append(dst)
			dst = append(dst, ' ')
		}
		dst = appendPrintable(dst, line, utf8)
		dst = append(dst, "\r\n"...)
		if !more {
			return dst
		}
		text = rest
	}
}

// cutLine takes one line of a reply from text, at a line break or, where the
// line is too long, at a blank.
func cutLine(text string) (line, rest string, more bool) {
	line, rest, more = strings.Cut(text, "\n")
	if len(line) <= maxReplyText {
		return line, rest, more
	}
	at := strings.LastIndexByte(line[:maxReplyText], ' ')
	if at <= 0 {
		at = maxReplyText
		for at > maxReplyText-utf8.UTFMax && !utf8.RuneStart(text[at]) {
			at--
		}
	}
	return line[:at], strings.TrimPrefix(text[at:], " "), true
}

func (e Enh) append(dst []byte) []byte {
	for i, n := range e {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

func appendPrintable(dst []byte, s string, utf8OK bool) []byte {
	s = strings.TrimSuffix(s, "\r")
	if utf8OK {
		s = strings.ToValidUTF8(s, "?")
	}
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f || c >= utf8.RuneSelf && !utf8OK {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}
