package mailbox

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// A namer makes names of message files: `1795500012.M345P7R5f3a9c01Q12.host`
// (seconds, microseconds, process, a random number of this start, a counter).
type namer struct {
	counter atomic.Uint64
	tail    string
	host    string
}

func (n *namer) init(hostname string) {
	var random [4]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	n.tail = "P" + strconv.Itoa(os.Getpid()) + "R" + hex.EncodeToString(random[:]) + "Q"
	n.host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`/:,\`, r) {
			return '_'
		}
		return r
	}, hostname)
	n.host = n.host[:min(len(n.host), maxHostInName)]
	if n.host == "" {
		n.host = "localhost"
	}
}

// maxHostInName leaves room in a file name for all else.
const maxHostInName = 100

func (n *namer) next(now time.Time) string {
	return fmt.Sprintf("%d.M%d%s%d.%s", now.Unix(), now.Nanosecond()/1000, n.tail, n.counter.Add(1), n.host)
}

// A draft is a message in tmp/, on stable storage, that nobody sees yet.
type draft struct {
	tmp  string // path
	base string // of its name to be
	size int64  // with CRLF
	date time.Time
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// bufferSize is how much of a message goes to the disk at a time; most
// messages go in one piece.
const bufferSize = 64 << 10

// write makes a draft in dir of head and then content. A zero date is now.
func (s *Store) write(dir, head string, content io.Reader, date time.Time) (*draft, error) {
	now := s.now()
	name := s.name.next(now)
	d := &draft{tmp: filepath.Join(dir, "tmp", name), date: time.Unix(now.Unix(), 0)}
	f, err := os.OpenFile(d.tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	var lines lineCounter
	err = fill(f, &lines, head, content)
	if err == nil && !date.IsZero() {
		d.date = time.Unix(date.Unix(), 0)
		err = os.Chtimes(d.tmp, d.date, d.date)
	}
	if err := errors.Join(err, disk.SyncFile(f), f.Close()); err != nil {
		os.Remove(d.tmp)
		return nil, err
	}
	d.size = lines.octets + lines.bare
	d.base = fmt.Sprintf("%s,S=%d,W=%d", name, lines.octets, d.size)
	return d, nil
}

// fill copies head and content to f, and counts.
func fill(f *os.File, lines *lineCounter, head string, content io.Reader) error {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	buf.WriteString(head)
	for {
		_, err := io.CopyN(buf, content, int64(bufferSize-buf.Len()))
		lines.Write(buf.Bytes())
		if _, err := f.Write(buf.Bytes()); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		buf.Reset()
	}
}

// discard removes a draft that did not become a message.
func (d *draft) discard() { os.Remove(d.tmp) }

// message is d with a place and flags to be.
func (d *draft) message(info string, inNew bool) Message {
	return Message{Size: d.size, Date: d.date, base: d.base, info: info, inNew: inNew}
}

// tmpAge is how old a file in tmp/ must be to be taken for the remains of a
// crash: the 36 hours of Maildir's inventor.
const tmpAge = 36 * time.Hour

// cleanTmp removes what crashes left in tmp/.
func (s *Store) cleanTmp(dir string) {
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && s.since(info.ModTime()) > tmpAge {
			os.Remove(filepath.Join(dir, "tmp", e.Name()))
		}
	}
}
