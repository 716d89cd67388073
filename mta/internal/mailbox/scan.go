package mailbox

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scanTries is how often the folders are read again when a message seems gone
// while another program renames files: it may have been passed over.
const scanTries = 3

// renameTries is how often an operation looks for its file again when another
// program gave it another name.
const renameTries = 20

// A found is a message file.
type found struct {
	base, info string
	inNew      bool
}

// unique is the part of a name that tells a message from all others. What
// comes behind the comma may change: mbsync puts a number of its own there.
func unique(base string) string {
	if i := strings.IndexByte(base, ','); i > 0 {
		return base[:i]
	}
	return base
}

// rescan reads the folders, unless they are as they were. b.mu is held.
func (b *box) rescan() error {
	renamed, err := b.keywords.read()
	if err != nil {
		return err
	}
	if renamed {
		clear(b.infos)
	}
	for try := 1; ; try++ {
		state, err := b.stamps()
		if err != nil {
			return err
		}
		if !renamed && b.unchanged(state) {
			b.scan.at = state.at
			return nil
		}
		files, err := b.readFolders()
		if err != nil {
			return b.lost(err)
		}
		after, err := b.stamps()
		if err != nil {
			return err
		}
		steady := after.new == state.new && after.cur == state.cur
		if !b.reconcile(files, steady || try == scanTries) {
			continue
		}
		b.scan = state
		b.later(b.arrive(files))
		return nil
	}
}

func (b *box) stamps() (st scanState, err error) {
	st.at = b.store.now()
	if st.new, err = stampOf(filepath.Join(b.folder.dir, "new")); err == nil {
		st.cur, err = stampOf(filepath.Join(b.folder.dir, "cur"))
	}
	return st, b.lost(err)
}

// lost turns "no such file" into ErrNoMailbox.
func (b *box) lost(err error) error {
	if errors.Is(err, os.ErrNotExist) && !isMaildir(b.folder.dir) {
		b.gone = true
		return ErrNoMailbox
	}
	return err
}

// unchanged tells whether the folders are those of the last scan. A stamp that
// was fresh then may hide a later change (grain).
func (b *box) unchanged(now scanState) bool {
	last := b.scan
	return now.new == last.new && now.cur == last.cur &&
		last.at.Sub(last.new.mtime) > grain && last.at.Sub(last.cur.mtime) > grain
}

// readFolders reads new/ before cur/: a message that another program moves
// meanwhile is then seen at least once.
func (b *box) readFolders() ([]found, error) {
	var files []found
	for _, sub := range []string{"new", "cur"} {
		names, err := readNames(filepath.Join(b.folder.dir, sub))
		if err != nil {
			return nil, err
		}
		files = slices.Grow(files, len(names))
		for _, name := range names {
			base, info := name, ""
			if i := strings.IndexByte(name, ':'); i >= 0 {
				base, info = name[:i], name[i:]
			}
			if isBase(base) {
				files = append(files, found{base, info, sub == "new"})
			}
		}
	}
	return files, nil
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// reconcile makes the known messages what the files say. It returns false, and
// changes nothing, if one seems gone and sure is not given.
func (b *box) reconcile(files []found, sure bool) bool {
	seen := make([]*found, len(b.messages))
	left := len(b.messages)
	for i := range files {
		uid, ok := b.index[unique(files[i].base)]
		if !ok {
			continue
		}
		place, _ := find(b.messages, uid)
		if seen[place] == nil {
			left--
		}
		seen[place] = &files[i] // cur wins over new
	}
	if left > 0 && !sure {
		return false
	}
	for i, f := range seen {
		if f == nil {
			continue
		}
		m := &b.messages[i]
		if m.info == f.info && m.inNew == f.inNew && m.base == f.base && m.Flags == b.flagsOf(f.info) {
			continue
		}
		b.changing()
		m = &b.messages[i]
		if flags := b.flagsOf(f.info); flags != m.Flags {
			m.Flags, m.ModSeq = flags, b.modSeq
		}
		m.base, m.info, m.inNew = f.base, f.info, f.inNew
	}
	if left > 0 {
		i := -1
		b.drop(func(*Message) bool { i++; return seen[i] == nil })
	}
	return true
}

// arrive gives UIDs to the files that are new to b, in the order in which they
// came.
func (b *box) arrive(files []found) error {
	var fresh []Message
	known := map[string]bool{}
	for _, f := range slices.Backward(files) { // cur wins over new
		key := unique(f.base)
		if _, ok := b.index[key]; ok || known[key] {
			continue
		}
		known[key] = true
		m := Message{base: f.base, info: f.info, inNew: f.inNew}
		if err := b.measure(&m); err != nil {
			b.store.log.Debug("message file passed over", "file", b.path(&m), "err", err)
			continue
		}
		fresh = append(fresh, m)
	}
	slices.SortFunc(fresh, byArrival)
	return b.add(fresh)
}

// measure finds size and date of a message.
func (b *box) measure(m *Message) error {
	path := b.path(m)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a file")
	}
	m.Date = time.Unix(info.ModTime().Unix(), 0)
	octets, withCRLF := sizesIn(m.base)
	if octets == info.Size() && withCRLF >= octets {
		m.Size = withCRLF
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var c lineCounter
	if _, err := io.Copy(&c, f); err != nil {
		return err
	}
	m.Size = c.octets + c.bare
	return nil
}

// sizesIn reads what a name says of its file (`,S=` and `,W=`, as Dovecot and
// Courier write them); -1 where it says nothing.
func sizesIn(base string) (octets, withCRLF int64) {
	octets, withCRLF = -1, -1
	for field := range strings.SplitSeq(base, ",") {
		value, ok := strings.CutPrefix(field, "S=")
		to := &octets
		if !ok {
			if value, ok = strings.CutPrefix(field, "W="); !ok {
				continue
			}
			to = &withCRLF
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
			*to = n
		}
	}
	return octets, withCRLF
}

// byArrival orders files by the time in their names, which is to the
// microsecond with most programs, or by their date; then by name.
func byArrival(a, b Message) int {
	aSec, aMicro := a.arrival()
	bSec, bMicro := b.arrival()
	return cmp.Or(cmp.Compare(aSec, bSec), cmp.Compare(aMicro, bMicro), strings.Compare(a.base, b.base))
}

func (m *Message) arrival() (seconds, micros int64) {
	if seconds, micros = timeIn(m.base); seconds == 0 {
		seconds = m.Date.Unix()
	}
	return seconds, micros
}

// timeIn reads 1795500012 and 345 from `1795500012.M345P7.host`; zero where
// there is nothing of that kind.
func timeIn(base string) (seconds, micros int64) {
	first, rest, _ := strings.Cut(base, ".")
	seconds, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, 0
	}
	if len(rest) > 1 && rest[0] == 'M' {
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		micros, _ = strconv.ParseInt(rest[1:end], 10, 64)
	}
	return seconds, micros
}

// A lineCounter counts octets, and the LFs that have no CR before them.
type lineCounter struct {
	octets, bare int64
	last         byte
}

// Write implements [io.Writer].
func (c *lineCounter) Write(p []byte) (int, error) {
	rest := p
	last := c.last
	for {
		i := indexLF(rest)
		if i < 0 {
			break
		}
		if i > 0 {
			last = rest[i-1]
		}
		if last != '\r' {
			c.bare++
		}
		last = '\n'
		rest = rest[i+1:]
	}
	if len(p) > 0 {
		c.last = p[len(p)-1]
	}
	c.octets += int64(len(p))
	return len(p), nil
}
