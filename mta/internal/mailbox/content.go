package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	return withCRLF(f, size, filepath.Join(b.folder.dir, "tmp"))
}

// maxConverted is the largest message that is converted in memory.
const maxConverted = 1 << 20

// withCRLF copies a message with other line ends, to memory or to a file of no
// name in tmp.
func withCRLF(from io.Reader, size int64, tmp string) (*Content, error) {
	if size <= maxConverted {
		var b bytes.Buffer
		n, err := io.Copy(&crlfWriter{out: &b}, io.LimitReader(from, 2*maxConverted))
		if err == nil && n < 2*maxConverted {
			return &Content{io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, int64(b.Len())), nil}, nil
		}
		if err != nil {
			return nil, err
		}
		return nil, errGrown
	}
	to, err := os.CreateTemp(tmp, "crlf-")
	if err != nil {
		return nil, err
	}
	os.Remove(to.Name())
	out := bufio.NewWriterSize(to, bufferSize)
	if _, err = io.Copy(&crlfWriter{out: out}, from); err == nil {
		err = out.Flush()
	}
	if err != nil {
		to.Close()
		return nil, err
	}
	end, err := to.Seek(0, io.SeekEnd)
	if err != nil {
		to.Close()
		return nil, err
	}
	return &Content{io.NewSectionReader(to, 0, end), to}, nil
}

// errGrown says that another program writes to a file that is a message.
var errGrown = errors.New("message file has grown")

// A crlfWriter puts a CR before each LF that has none.
type crlfWriter struct {
	out  io.Writer
	last byte
}

// Write implements [io.Writer].
func (w *crlfWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := indexLF(rest)
		if i < 0 {
			_, err := w.out.Write(rest)
			w.last = rest[len(rest)-1]
			return len(p), err
		}
		before := w.last
		if i > 0 {
			before = rest[i-1]
		}
		end := "\r\n"
		if before == '\r' {
			end = "\n"
		}
		if _, err := w.out.Write(rest[:i]); err != nil {
			return 0, err
		}
		if _, err := io.WriteString(w.out, end); err != nil {
			return 0, err
		}
		w.last, rest = '\n', rest[i+1:]
	}
	return len(p), nil
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
