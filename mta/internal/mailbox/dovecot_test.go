package mailbox

import (
	"fmt"
	"testing"
)

func TestUIDsOfDovecotStay(t *testing.T) {
	for name, c := range map[string]struct {
		text     string
		validity uint32
		want     string
	}{
		"a list":             {"3 V1234567890 N20 Gad172a19\n3 :1000000001.a\n7 W9 S8 :1000000002.b:2,S\n9 :1000000003.gone\n", 1234567890, `3 7:\Seen 20`},
		"UIDNEXT is behind":  {"3 V1234567890 N1 Gad172a19\n3 :1000000001.a\n7 :1000000002.b\n", 1234567890, `3 7:\Seen 8`},
		"another version":    {"1 1234567890 20\n3 a\n", 0, `1 2:\Seen 3`},
		"no UIDVALIDITY":     {"3 N20\n", 0, `1 2:\Seen 3`},
		"it does not ascend": {"3 V5 N20\n3 :a\n3 :b\n", 0, `1 2:\Seen 3`},
		"empty":              {"", 0, `1 2:\Seen 3`},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			mailbox(t, s, "INBOX").Close() // makes the folders
			create(t, s, "x")
			put(t, bobs(s, ".x", "new", "1000000001.a"), "a")
			put(t, bobs(s, ".x", "cur", "1000000002.b:2,S"), "b")
			put(t, bobs(s, ".x", "new", "1000000004.new"), "c")
			put(t, bobs(s, ".x", dovecotList), c.text)
			m := mailbox(t, s, "x")
			wantList(t, m, c.want)
			if got := view(t, m).UIDValidity; c.validity != 0 && got != c.validity || got == 5 {
				t.Errorf("UIDVALIDITY %d, want %d", got, c.validity)
			}
			m.Close()
			s.Close()
			wantList(t, mailbox(t, open(t, s.root), "x"), c.want)
		})
	}
}

func FuzzDovecotList(f *testing.F) {
	f.Add("3 V1795490540 N1 Gad172a19\n1 :1795490462.M611730P32767.host,S=105,W=105\n2 W3 :b\n")
	f.Add("3 V\n")
	f.Add("3 V4294967295 N4294967295\n4294967294 :a\n")
	f.Fuzz(func(t *testing.T, s string) {
		validity, next, uids, ok := parseDovecot(s)
		if !ok {
			return
		}
		last := UID(0)
		for _, r := range uids {
			if r.uid <= last || !isBase(r.base) {
				t.Fatal(fmt.Sprint(r, last))
			}
			last = r.uid
		}
		if validity == 0 || next <= last {
			t.Fatalf("validity %d, next %d after %d", validity, next, last)
		}
	})
}
