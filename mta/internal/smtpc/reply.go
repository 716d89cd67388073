package smtpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Limits of a reply. A peer that goes beyond them costs us no memory.
const (
	maxReplyLine  = 1 << 10  // octets kept of one line; RFC 5321 §4.5.3.1.5 has 512
	maxReplyText  = 2 << 10  // octets kept of a reply's text: it goes into logs and DSNs
	maxReply      = 64 << 10 // octets read of one reply; beyond it is no SMTP
	maxReplyLines = 200      // lines kept, EHLO's too
)

// readReply reads one reply. Its text is cleaned: lines divided by LF,
// printable, at most maxReplyText octets. A 421 leaves the connection broken.
func (c *Conn) readReply(timeout time.Duration) (*smtp.Reply, error) {
	code, lines, err := c.readLines(timeout)
	if err != nil {
		c.broken = true
		return nil, err
	}
	if code == 421 { // the peer closes (RFC 5321 §3.8)
		c.broken = true
	}
	return newReply(code, lines), nil
}

// readLines reads one reply as it came, by lines without their code.
func (c *Conn) readLines(timeout time.Duration) (code int, lines []string, err error) {
	c.readWithin(timeout)
	for total := 0; ; {
		line, n, err := readLine(c.r)
		if total += n; err == nil && total > maxReply {
			err = fmt.Errorf("reply over %d octets: %w", maxReply, ErrProtocol)
		}
		if err != nil {
			return 0, nil, err
		}
		var text string
		var last bool
		// The code of the last line decides where they differ, against
		// RFC 5321 §4.2.1, which forbids it.
		code, text, last, err = cutCode(line)
		if err != nil {
			return 0, nil, err
		}
		if len(lines) < maxReplyLines {
			lines = append(lines, text)
		}
		if last {
			return code, lines, nil
		}
	}
}

// readLine returns a line without its end, cut at maxReplyLine octets, and how
// many octets it took.
func readLine(r *bufio.Reader) (line string, n int, err error) {
	var kept []byte
	for {
		part, err := r.ReadSlice('\n')
		if err == nil && n == 0 && len(part) <= maxReplyLine { // as good as always
			return string(bytes.TrimRight(part, "\r\n")), len(part), nil
		}
		n += len(part)
		if room := maxReplyLine - len(kept); room > 0 {
			kept = append(kept, part[:min(room, len(part))]...)
		}
		if err == nil {
			return strings.TrimRight(string(kept), "\r\n"), n, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", n, err
		}
		if n > maxReply {
			return "", n, nil // the caller refuses it
		}
	}
}

// cutCode divides `250-text`; `250` alone is a last line too (RFC 5321 §4.2
// lets a server leave out the text).
func cutCode(line string) (code int, text string, last bool, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) ||
		len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, "", false, fmt.Errorf("reply %q: %w", clean(line[:min(len(line), 80)]), ErrProtocol)
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, "", true, nil
	}
	return code, line[4:], line[3] == ' ', nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// newReply takes the enhanced status code off the lines (RFC 2034 §4), and
// cleans what is left. A code of another class than the reply's is text.
func newReply(code int, lines []string) *smtp.Reply {
	r := &smtp.Reply{Code: code}
	first, _, _ := strings.Cut(lines[0], " ")
	if e, ok := smtp.ParseEnh(first); ok && e[0] == code/100 {
		r.Enh = e
	}
	var b strings.Builder
	for i, line := range lines {
		if word, rest, _ := strings.Cut(line, " "); r.Enh != (smtp.Enh{}) && word == first {
			line = rest
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(clean(line))
		if b.Len() > maxReplyText {
			break
		}
	}
	r.Text = strings.TrimSpace(cut(b.String(), maxReplyText))
	return r
}

// clean replaces what no log or DSN should have to bear.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == utf8.RuneError:
			return '?'
		case unicode.IsPrint(c):
			return c
		case c == '\t':
			return ' '
		}
		return '?'
	}, s)
}

// cut shortens s to at most n octets, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
