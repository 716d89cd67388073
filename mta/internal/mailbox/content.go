package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

func indexLF(p []byte) int { return bytes.IndexByte(p, '\n') }

// open opens a message for reading.
func (b *box) open(uid UID) (*Content, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, size, err := b.openFile(uid)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == size { // its line ends are CRLF
		return &Content{io.NewSectionReader(f, 0, size), f}, nil
	}
	defer f.Close()
	if err != nil {
		return nil, err
	}
	octets, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	octets = toCRLF(octets)
	return &Content{io.NewSectionReader(bytes.NewReader(octets), 0, int64(len(octets))), nil}, nil
}

// openFile opens the file of a message. It looks for it again if another
// program changed its name. b.mu is held.
func (b *box) openFile(uid UID) (*os.File, int64, error) {
	if err := b.refresh(remember); err != nil {
		return nil, 0, err
	}
	for try := 1; ; try++ {
		place, ok := find(b.messages, uid)
		if !ok {
			return nil, 0, ErrNoMessage
		}
		m := &b.messages[place]
		f, err := os.OpenFile(b.path(m), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		if err == nil {
			return f, m.Size, nil
		}
		if !errors.Is(err, os.ErrNotExist) || try > renameTries {
			return nil, 0, fmt.Errorf("open message: %w", err)
		}
		if err := b.refresh(look); err != nil {
			return nil, 0, err
		}
	}
}

// toCRLF puts a CR before each LF that has none.
func toCRLF(octets []byte) []byte {
	var c lineCounter
	c.Write(octets)
	if c.bare == 0 {
		return octets
	}
	out := make([]byte, 0, c.octets+c.bare)
	for i, o := range octets {
		if o == '\n' && (i == 0 || octets[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, o)
	}
	return out
}
