package mailbox

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dovecotList is Dovecot's UID list: a line `3 V1795500000 N17 G…` (version,
// UIDVALIDITY, UIDNEXT), then lines of a UID, fields and `:` with the name. It
// is read once, when a mailbox has no list of ours, so that clients keep what
// they have when an account comes from Dovecot; it is never written.
const dovecotList = "dovecot-uidlist"

// takeOver sets validity and next of list as Dovecot has them, and returns the
// messages that are still there. Where there is nothing to take over, validity
// stays zero.
func (b *box) takeOver(list *uidList) []Message {
	text, err := os.ReadFile(filepath.Join(b.folder.dir, dovecotList))
	if err != nil {
		return nil
	}
	validity, next, uids, ok := parseDovecot(string(text))
	if !ok {
		return nil
	}
	files, err := b.readFolders()
	if err != nil {
		return nil
	}
	byBase := make(map[string]found, len(files))
	for _, f := range files {
		byBase[f.base] = f
	}
	var messages []Message
	for _, r := range uids {
		f, ok := byBase[r.base]
		m := Message{UID: r.uid, base: f.base, info: f.info, inNew: f.inNew}
		if ok && b.measure(&m) == nil {
			messages = append(messages, m)
		}
	}
	list.validity, list.next = validity, next
	return messages
}

// parseDovecot reads a list whose UIDs ascend; any other is not taken over.
func parseDovecot(text string) (validity uint32, next UID, uids []record, ok bool) {
	head, text, _ := strings.Cut(text, "\n")
	fields := strings.Fields(head)
	if len(fields) == 0 || fields[0] != "3" {
		return 0, 0, nil, false
	}
	next = 1
	for _, f := range fields[1:] {
		n, err := strconv.ParseUint(f[1:], 10, 32)
		switch {
		case f[0] == 'V' && err == nil:
			validity = uint32(n)
		case f[0] == 'N' && err == nil && n < math.MaxUint32:
			next = max(next, UID(n))
		}
	}
	last := UID(0)
	for line := range strings.Lines(text) {
		before, name, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		number, _, _ := strings.Cut(before, " ")
		uid, err := strconv.ParseUint(number, 10, 32)
		name, _, _ = strings.Cut(name, ":")
		if !found || err != nil || UID(uid) <= last || uid >= math.MaxUint32 || !isBase(name) {
			return 0, 0, nil, false
		}
		last = UID(uid)
		uids = append(uids, record{uid: last, base: name})
	}
	return validity, max(next, last+1), uids, validity != 0
}
