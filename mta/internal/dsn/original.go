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
	mediaType string
	encoding  string // its Content-Transfer-Encoding
	eight     bool   // it has octets above 127
	messageID string // of the original, with its angle brackets; empty: none, or a strange one
	note      string // for people: what they find attached
}

// returned decides how much goes back (RFC 3461 §4.3): the whole message only
// with a failure.
func (c *composer) returned() *returned {
	r := &returned{content: mail.Bytes(nil), mediaType: "text/rfc822-headers", encoding: "7bit",
		note: c.your() + " message itself can no longer be read here and is not attached."}
	if c.Content == nil {
		return r
	}
	header, err := readHeader(c.Content)
	if err != nil {
		return r
	}
	r.messageID = messageID(header)
	if c.wantsFull() {
		if eight, ok := sendable(c.Content); ok {
			r.whole(c, eight, mail.HasUTF8(string(header)))
			return r
		}
	}
	r.top(c, header)
	return r
}

// whole attaches all of the original. In its header section only SMTPUTF8 allows
// octets above 127 (RFC 6532 §3); where the notification goes without it, such an
// original is encoded, which its media type allows (RFC 6532 §3.7).
func (r *returned) whole(c *composer, eight, eightHeader bool) {
	r.content, r.eight, r.mediaType, r.note = c.Content, eight, "message/rfc822", c.your()+" message is attached."
	switch {
	case eightHeader && !c.utf8:
		r.content, r.eight, r.mediaType, r.encoding = base64Content{c.Content}, false, "message/global", "base64"
	case eight:
		r.encoding = "8bit"
	}
	if c.utf8 {
		r.mediaType = "message/global" // RFC 6533 §2
	}
}

// top attaches the header section.
func (r *returned) top(c *composer, header []byte) {
	if mail.HasUTF8(string(header)) && !c.utf8 {
		header = []byte(escapeLines(header))
	}
	r.content, r.eight = mail.Bytes(header), mail.HasUTF8(string(header))
	r.note = "The top of " + strings.ToLower(c.your()) + " message is attached, so that you can tell which it was."
	if r.eight {
		r.encoding = "8bit"
	}
	if c.utf8 {
		r.mediaType = "message/global-headers"
	}
}

// wantsFull tells whether the whole original goes back. What the postmaster gets
// may be the only copy there is.
func (c *composer) wantsFull() bool {
	switch {
	case len(c.with(failed)) == 0, c.Envelope.RequireTLS: // RFC 8689 §5: as if RET=HDRS
		return false
	case c.Envelope.Ret == "FULL", c.Postmaster:
		return c.Content.Size() <= maxFull
	case c.Envelope.Ret == "HDRS":
		return false
	}
	return c.Content.Size() <= maxUnasked
}

// header begins the part that has the original.
func (r *returned) header(b *writer, c *composer) { c.part(b, r.mediaType, r.encoding) }

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
