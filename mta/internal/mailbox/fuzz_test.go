package mailbox

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzUIDList holds that a list is read as UIDs that ascend below UIDNEXT, or
// not at all, and that what is added to it is read again.
func FuzzUIDList(f *testing.F) {
	f.Add([]byte("mta-uidlist 1 1795500000\nnext 3\n3 5120 1795500012 1795500012.M1.host\n9 1 1 x\n"))
	f.Add([]byte("mta-uidlist 1 1\n1 1 1 a\n1 1 1 a\n"))
	f.Add([]byte("mta-uidlist 1 0\n"))
	f.Add([]byte("mta-uidlist 1 7\n4294967294 1 -1 a b\n"))
	f.Add([]byte("mta-uidlist 1 7\n5 1 1 a\n6 1"))
	f.Add([]byte{})
	dir := f.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, uidListFile)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, records, err := s.readUIDList(dir)
		if err != nil {
			return
		}
		last := UID(0)
		for _, r := range records {
			if r.uid <= last || r.uid >= l.next || !isBase(r.base) {
				t.Fatalf("%+v after %d, next %d", r, last, l.next)
			}
			last = r.uid
		}
		added := []record{{size: 1, date: 2, base: "added"}}
		if l.add(added) != nil {
			return // no UIDs left
		}
		again, all, err := s.readUIDList(dir)
		if err != nil || !slices.Equal(all, append(records, added...)) || again.next != l.next || again.validity != l.validity {
			t.Fatalf("%q: read again: %+v, %v", data, all, err)
		}
	})
}

// FuzzInfo holds that a suffix of any file name survives a change of flags:
// what it says is what was set, and letters of others stay.
func FuzzInfo(f *testing.F) {
	for _, s := range []string{"", ":2,", ":2,S", ":2,abc", ":2,ZS,x", ":1,S", ":2,SSa\xff"} {
		f.Add(s, uint8(5), true)
	}
	f.Fuzz(func(t *testing.T, info string, system uint8, word bool) {
		var k keywords
		k.names[0], k.names[3] = "$Forwarded", "$Junk"
		want := Flags{System: Flag(system) & (Seen | Answered | Flagged | Deleted | Draft)}
		if word {
			want.Keywords = "$Junk"
		}
		now := k.info(want, info)
		if got := k.flags(now); got != want {
			t.Fatalf("%q becomes %q, which says %v, want %v", info, now, got, want)
		}
		if again := k.info(want, now); again != now {
			t.Fatalf("%q becomes %q becomes %q", info, now, again)
		}
	})
}

// FuzzFiles reads what other programs may leave in the account's folder.
func FuzzFiles(f *testing.F) {
	f.Add("V\t2\n\nSent\nLists\tgo\n", "0 $Junk\n25 x\n", "1795500012.M345P7.host,S=5,W=6")
	f.Add("Lists.go\n", "-1 x\n0 a b\n", "x,S=-1,W=99999999999999999999")
	f.Fuzz(func(t *testing.T, subscriptions, words, base string) {
		for name := range parseSubscriptions(subscriptions) {
			if clean, err := CleanName(name); err != nil || clean != name {
				t.Fatalf("subscribed to %q", name)
			}
		}
		for _, name := range parseKeywords(words) {
			if name != "" && !isKeyword(name) {
				t.Fatalf("keyword %q", name)
			}
		}
		if a, b := sizesIn(base); a < -1 || b < -1 {
			t.Fatalf("%q has the sizes %d and %d", base, a, b)
		}
		timeIn(base)
	})
}

// FuzzCRLF holds that conversion makes every LF a CRLF, changes nothing else,
// however the octets come, and agrees with the counting.
func FuzzCRLF(f *testing.F) {
	for _, s := range []string{"", "\n", "a\nb\r\nc\r", "\r\r\n\n", "\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
		for _, r := range []io.Reader{strings.NewReader(s), iotest.OneByteReader(strings.NewReader(s))} {
			var b bytes.Buffer
			var c lineCounter
			if _, err := io.Copy(io.MultiWriter(&crlfWriter{out: &b}, &c), r); err != nil {
				t.Fatal(err)
			}
			if b.String() != want || c.octets+c.bare != int64(len(want)) {
				t.Fatalf("%q becomes %q (%d), want %q (%d)", s, b.String(), c.octets+c.bare, want, len(want))
			}
		}
	})
}

func TestALargeMessageWithBareLF(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	content := "Subject: large\n\n" + strings.Repeat("line\n", maxConverted/4)
	put(t, bobs(s, "new", "9999999999.1.x"), content)
	m := mailbox(t, s, Inbox)
	want := strings.ReplaceAll(content, "\n", "\r\n")
	if got := read(t, m, 2); got != want {
		t.Errorf("got %d octets, want %d", len(got), len(want))
	}
	if got := view(t, m).Messages[1].Size; got != int64(len(want)) {
		t.Errorf("size %d, want %d", got, len(want))
	}
	if left := names(t, bobs(s, "tmp")); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}
