package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// How much of a message is returned with a failure.
const (
	maxUnasked = 64 << 10 // octets, where RET was not given
	maxFull    = 10 << 20 // octets, where it was FULL; more returns the header section only
	maxHeader  = 64 << 10 // octets of a header section
	maxLine    = 998      // octets without CRLF; longer ones are not 8bit (RFC 2045 §2.8)
)

// returned is what of the original is attached.
type returned struct {
	content   mail.Content
	full      bool   // not the header section only
	eight     bool   // it has octets above 127
	messageID string // of the original, with its angle brackets; empty: none, or a strange one
	note      string // for people: what they find attached
}

// returned decides how much goes back (RFC 3461 §4.3): the whole message only
// with a failure.
func (c *composer) returned() *returned {
	r := &returned{content: mail.Bytes(nil), note: "Your message itself can no longer be read here and is not attached."}
	if c.Content == nil {
		return r
	}
	header, err := readHeader(c.Content)
	if err != nil {
		return r
	}
	r.messageID = messageID(header)
	if c.wantsFull() {
		eight, ok := sendable(c.Content)
		if ok && (!eight || c.mayEight(header)) {
			r.content, r.full, r.eight, r.note = c.Content, true, eight, "Your message is attached."
			return r
		}
	}
	if mail.HasUTF8(string(header)) && !c.utf8 {
		header = []byte(escapeLines(header))
	}
	r.content, r.eight = mail.Bytes(header), mail.HasUTF8(string(header))
	r.note = "The top of your message is attached, so that you can tell which it was."
	return r
}

// mayEight tells whether an original with octets above 127 can go back whole:
// in its header section only SMTPUTF8 allows them (RFC 6532 §3).
func (c *composer) mayEight(header []byte) bool {
	return c.utf8 || !mail.HasUTF8(string(header))
}

func (c *composer) wantsFull() bool {
	if !c.anyFailed() {
		return false
	}
	switch c.Envelope.Ret {
	case "HDRS":
		return false
	case "FULL":
		return c.Content.Size() <= maxFull
	}
	return c.Content.Size() <= maxUnasked
}

// header begins the part that has the original.
func (r *returned) header(b *writer, c *composer) {
	encoding := "7bit"
	if r.eight {
		encoding = "8bit"
	}
	mediaType := "text/rfc822-headers"
	switch {
	case r.full && c.utf8:
		mediaType = "message/global" // RFC 6533 §2
	case r.full:
		mediaType = "message/rfc822"
	case c.utf8:
		mediaType = "message/global-headers"
	}
	c.part(b, mediaType, encoding)
}

// readHeader returns the header section, without the blank line after it. One
// that is too long ends with its last whole line.
func readHeader(c mail.Content) ([]byte, error) {
	rc, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	br := bufio.NewReader(io.LimitReader(rc, maxHeader))
	var out []byte
	for {
		line, err := br.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && err != io.EOF && !long {
			return nil, err
		}
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 || len(line) > maxLine+2 || bytes.IndexByte(line, 0) >= 0 {
			return out, nil
		}
		out = append(out, bytes.TrimRight(line, "\r\n")...)
		out = append(out, "\r\n"...)
	}
}

// sendable tells whether content can stand in a part that is not encoded: no
// NUL, no bare CR or LF, no long line (RFC 2045 §2.8); and whether it has
// octets above 127.
func sendable(c mail.Content) (eight, ok bool) {
	rc, err := c.Open()
	if err != nil {
		return false, false
	}
	defer rc.Close()
	buf := make([]byte, 32<<10)
	line, cr := 0, false // octets in this line; the last one was CR
	for {
		n, err := rc.Read(buf)
		for _, octet := range buf[:n] {
			if (octet == '\n') != cr {
				return false, false
			}
			cr = octet == '\r'
			switch {
			case octet == 0:
				return false, false
			case octet == '\n':
				line = 0
				continue
			case octet >= 0x80:
				eight = true
			}
			if line++; line > maxLine+1 {
				return false, false
			}
		}
		if err == io.EOF {
			return eight, !cr
		}
		if err != nil {
			return false, false
		}
	}
}

// messageID is the Message-ID of a header section, if it is a plain one.
func messageID(header []byte) string {
	for line := range bytes.Lines(header) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !bytes.EqualFold(bytes.TrimSpace(name), []byte("Message-ID")) {
			continue
		}
		id := string(bytes.TrimSpace(value))
		if len(id) > 250 || len(id) < 3 || id[0] != '<' || id[len(id)-1] != '>' || strings.ContainsFunc(id, notInID) {
			return ""
		}
		return id
	}
	return ""
}

func notInID(r rune) bool { return r <= ' ' || r > '~' }

// escapeLines makes a header section ASCII.
func escapeLines(header []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(header) {
		body := strings.TrimRight(string(line), "\r\n")
		if !mail.HasUTF8(body) {
			b.WriteString(body)
		} else {
			if body[0] == ' ' || body[0] == '\t' {
				b.WriteByte(' ') // still a continuation
			}
			b.WriteString(safe(body, false))
		}
		b.WriteString("\r\n")
	}
	return b.String()
}
