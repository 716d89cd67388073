package relay

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A body is the content of a message, as each next hop can take it. What takes
// reading it is done once for all of them, and only if one asks.
type body struct {
	content  mail.Content
	has8Bit  func() (bool, error)         // an octet above 127 is in it
	hasUTF8  func() (bool, error)         // one is in its header section
	sevenBit func() (mail.Content, error) // without any
	relaxed  func() bool                  // it asks for delivery rather than TLS
}

func newBody(c mail.Content) *body {
	return &body{
		content:  c,
		has8Bit:  sync.OnceValues(func() (bool, error) { return scan8Bit(c) }),
		hasUTF8:  sync.OnceValues(func() (bool, error) { return scanHeader(c) }),
		sevenBit: sync.OnceValues(func() (mail.Content, error) { return to7Bit(c) }),
		relaxed:  sync.OnceValue(func() bool { return isRelaxed(c) }),
	}
}

// scan8Bit tells whether c has an octet above 127.
func scan8Bit(c mail.Content) (bool, error) {
	if b, ok := c.(mail.Bytes); ok {
		return any8Bit(b), nil
	}
	r, err := c.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if any8Bit(buf[:n]) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// scanHeader tells whether the header section of c has an octet above 127.
func scanHeader(c mail.Content) (found bool, err error) {
	err = eachHeaderLine(c, func(line []byte, _ bool) bool {
		found = any8Bit(line)
		return !found
	})
	return found, err
}

// maxHeader is how much of a header section is looked through.
const maxHeader = 256 << 10

// eachHeaderLine calls f with each line of c's header section until f returns
// false. Long lines come in pieces; whole tells the first from the others.
func eachHeaderLine(c mail.Content, f func(line []byte, whole bool) bool) error {
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewReaderSize(io.LimitReader(r, maxHeader), 4<<10)
	whole := true // the last line was read to its end
	for {
		line, err := lines.ReadSlice('\n')
		if whole && len(strings.TrimRight(string(line[:min(2, len(line))]), "\r\n")) == 0 && len(line) > 0 {
			return nil
		}
		if len(line) > 0 && !f(line, whole) {
			return nil
		}
		switch whole = err == nil; {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func any8Bit(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// An accepts is what kinds of octets a next hop takes beside ASCII in lines.
type accepts struct{ eight, binary bool }

// form is the content for a next hop that takes what it takes, and the BODY to
// say of it: BINARYMIME where the client said so, 8BITMIME where it did or an
// octet needs it. Content that the next hop cannot take is converted (RFC 6152
// §3, RFC 3030 §3).
func (b *body) form(takes accepts, said mail.Body) (mail.Content, mail.Body, error) {
	switch {
	case said == mail.BodyBinary && takes.binary, said == mail.Body8Bit && takes.eight:
		return b.content, said, nil
	case said == mail.BodyBinary:
		c, err := b.sevenBit()
		return c, mail.Body7Bit, err
	}
	eight, err := b.has8Bit()
	switch {
	case err != nil:
		return nil, "", err
	case eight && !takes.eight:
		c, err := b.sevenBit()
		return c, mail.Body7Bit, err
	case eight:
		return b.content, mail.Body8Bit, nil
	}
	return b.content, mail.Body7Bit, nil
}

// to7Bit converts content for a next hop without 8BITMIME. A message that is
// beyond converting is [smtpc.Err8Bit], one with addresses that only SMTPUTF8
// can carry is [smtpc.ErrUTF8]; any other error is that of reading it.
func to7Bit(c mail.Content) (mail.Content, error) {
	src, err := octetsOf(c)
	if err != nil {
		return nil, err
	}
	tree, done, err := mimetree.To7Bit(mimetree.Parse(src, mimetree.Limits{}))
	switch {
	case errors.Is(err, mimetree.ErrLimit):
		return nil, smtpc.Err8Bit
	case err != nil:
		return nil, err
	case done.Left: // RFC 6532 §3.2
		return nil, smtpc.ErrUTF8
	}
	return tree, nil
}

// octetsOf is c to be read at any offset; from memory if it cannot.
func octetsOf(c mail.Content) (mail.Octets, error) {
	if o, ok := c.(mail.Octets); ok {
		return o, nil
	}
	b, err := mail.ReadAll(c)
	return mail.Bytes(b), err
}
