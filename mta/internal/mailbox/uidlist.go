package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// The UID list of a mailbox is a text file:
//
//	mta-uidlist 1 1795500000          version, UIDVALIDITY
//	next 17                           UIDNEXT is 17 at least
//	3 5120 1795500012 1795500012.M…   UID, size, date, name without flags
//
// Lines are only ever added at the end, and synced before anybody hears of
// their UIDs. A message that is gone keeps its line until the file is written
// anew. A last line without its end is what a crash left, and is dropped; any
// other line that is not as it should be makes the whole list void, and the
// mailbox gets a new UIDVALIDITY.
const (
	uidListFile  = "mta-uidlist"
	uidListMagic = "mta-uidlist 1 "
)

// deadLines is how many lines of messages that are gone the list may have,
// beyond one for each that is there, before it is written anew.
const deadLines = 1000

// A record is a line of the list.
type record struct {
	uid  UID
	size int64
	date int64
	base string
}

func (r record) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.uid), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.size, 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.date, 10)
	b = append(b, ' ')
	b = append(b, r.base...)
	return append(b, '\n')
}

// A uidList is the list of one mailbox; its box's lock guards it.
type uidList struct {
	store    *Store
	file     string
	validity uint32
	next     UID   // UIDNEXT
	size     int64 // of the file
	lines    int   // of records
	broken   bool  // the file has octets after size that could not be taken back
}

var errBadList = errors.New("not a UID list")

// readUIDList returns the list of dir with its records, which ascend. There
// may be none: then the error is os.ErrNotExist or errBadList.
func (s *Store) readUIDList(dir string) (*uidList, []record, error) {
	l := &uidList{store: s, file: filepath.Join(dir, uidListFile), next: 1}
	data, err := os.ReadFile(l.file)
	if err != nil {
		return l, nil, err
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	l.size, l.broken = int64(end), end < len(data)
	records, err := l.parse(string(data[:end]))
	return l, records, err
}

func (l *uidList) parse(text string) ([]record, error) {
	head, text, _ := strings.Cut(text, "\n")
	number, ok := strings.CutPrefix(head, uidListMagic)
	validity, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil || validity == 0 {
		return nil, errBadList
	}
	l.validity = uint32(validity)
	records := make([]record, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if n, ok := strings.CutPrefix(line, "next "); ok {
			next, err := strconv.ParseUint(n, 10, 32)
			if err != nil || UID(next) < l.next {
				return nil, errBadList
			}
			l.next = UID(next)
			continue
		}
		r, ok := parseRecord(line)
		if !ok || r.uid < l.next || r.uid == math.MaxUint32 {
			return nil, errBadList
		}
		l.next = r.uid + 1
		records = append(records, r)
	}
	l.lines = len(records)
	return records, nil
}

func parseRecord(line string) (r record, ok bool) {
	uid, line, _ := strings.Cut(line, " ")
	size, line, _ := strings.Cut(line, " ")
	date, base, _ := strings.Cut(line, " ")
	n, err1 := strconv.ParseUint(uid, 10, 32)
	s, err2 := strconv.ParseInt(size, 10, 64)
	d, err3 := strconv.ParseInt(date, 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || n == 0 || s < 0 || !isBase(base) {
		return record{}, false
	}
	return record{UID(n), s, d, base}, true
}

// isBase tells whether base can be the name of a message: one that a list can
// hold and that is no other file.
func isBase(base string) bool {
	return base != "" && base[0] != '.' && !strings.ContainsAny(base, "/:\x00\n")
}

// errUIDs says that a mailbox has used up its UIDs.
var errUIDs = errors.New("no UIDs left")

// add gives each record the next UID, durably. On error none has one.
func (l *uidList) add(records []record) error {
	if len(records) == 0 {
		return nil
	}
	if uint64(l.next)+uint64(len(records)) >= math.MaxUint32 {
		return errUIDs
	}
	var b []byte
	for i := range records {
		records[i].uid = l.next + UID(i)
		b = records[i].append(b)
	}
	if err := l.append(b); err != nil {
		return fmt.Errorf("add to UID list: %w", err)
	}
	l.next += UID(len(records))
	l.lines += len(records)
	return nil
}

// append adds b to the file, or takes back what of it was written.
func (l *uidList) append(b []byte) error {
	f, err := os.OpenFile(l.file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if l.broken {
		if err := f.Truncate(l.size); err != nil {
			return err
		}
		l.broken = false
	}
	_, err = f.WriteAt(b, l.size)
	if err == nil {
		err = disk.SyncFile(f)
	}
	if err != nil {
		l.broken = f.Truncate(l.size) != nil
		return err
	}
	l.size += int64(len(b))
	return nil
}

// write makes the file anew, with records alone.
func (l *uidList) write(messages []Message) error {
	b := fmt.Appendf(nil, "%s%d\n", uidListMagic, l.validity)
	for i := range messages {
		b = messages[i].record().append(b)
	}
	b = fmt.Appendf(b, "next %d\n", l.next)
	if err := l.store.writeFile(l.file, b); err != nil {
		return fmt.Errorf("write UID list: %w", err)
	}
	l.size, l.lines, l.broken = int64(len(b)), len(messages), false
	return nil
}

func (m *Message) record() record { return record{m.UID, m.Size, m.Date.Unix(), m.base} }

// newValidity returns a UIDVALIDITY that no mailbox of this store had.
func (s *Store) newValidity() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.validity = max(s.validity+1, uint32(s.now().Unix()))
	return s.validity
}
