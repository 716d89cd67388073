package dsn

import (
	"bufio"
	"encoding/base64"
	"io"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// base64Line is how many octets of content a line of base64 has: 76 characters
// (RFC 2045 §6.8).
const base64Line = 57

// base64Content is content in base64, in lines. Nothing of it is copied.
type base64Content struct{ of mail.Content }

// Size implements [mail.Content].
func (c base64Content) Size() int64 {
	n := c.of.Size()
	lines, rest := n/base64Line, n%base64Line
	size := lines * 78
	if rest > 0 {
		size += int64(base64.StdEncoding.EncodedLen(int(rest))) + 2
	}
	return size
}

// Open implements [mail.Content].
func (c base64Content) Open() (io.ReadCloser, error) {
	r, err := c.of.Open()
	if err != nil {
		return nil, err
	}
	return &base64Reader{r: bufio.NewReaderSize(r, 32<<10), close: r.Close}, nil
}

// A base64Reader encodes line by line.
type base64Reader struct {
	r     io.Reader
	close func() error
	line  []byte // encoded and not read yet
	err   error
}

// Read implements [io.Reader].
func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.line) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.next()
	}
	n := copy(p, b.line)
	b.line = b.line[n:]
	return n, nil
}

func (b *base64Reader) next() {
	var octets [base64Line]byte
	n, err := io.ReadFull(b.r, octets[:])
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.err = err
	if n > 0 {
		b.line = append(base64.StdEncoding.AppendEncode(b.line[:0], octets[:n]), "\r\n"...)
	}
}

// Close implements [io.Closer].
func (b *base64Reader) Close() error { return b.close() }
