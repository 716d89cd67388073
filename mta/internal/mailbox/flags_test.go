package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func flags(t testing.TB, names string) Flags {
	t.Helper()
	f, err := ParseFlags(strings.Fields(names))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFlags(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		`\seen \ANSWERED`:            `\Answered \Seen`,
		`\Recent`:                    "",
		`$b $A $a`:                   "$A $b",
		`\Draft \Flagged \Deleted x`: `\Draft \Flagged \Deleted x`,
	} {
		if got := strings.Join(flags(t, in).Names(), " "); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	for _, bad := range []string{`\Nonsense`, "a(b", "a\x00", "ü", `a"b`, "a*", strings.Repeat("a", 129), ""} {
		if _, err := ParseFlags([]string{bad}); !errors.Is(err, ErrFlag) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestSetFlags(t *testing.T) {
	for name, c := range map[string]struct {
		change            FlagChange
		old, given, after string
	}{
		"replace":              {ReplaceFlags, `\Seen $a`, `\Draft $b`, `\Draft $b`},
		"replace by nothing":   {ReplaceFlags, `\Seen $a`, ``, ``},
		"add":                  {AddFlags, `\Seen $a`, `\Draft $b`, `\Draft \Seen $a $b`},
		"add what is there":    {AddFlags, `\Seen $a`, `\seen $A`, `\Seen $a`},
		"remove":               {RemoveFlags, `\Seen \Draft $a $b`, `\Draft $B`, `\Seen $a`},
		"remove what is not":   {RemoveFlags, `\Seen`, `\Draft $c`, `\Seen`},
		"the mailbox's letter": {ReplaceFlags, `$Forwarded`, `$FORWARDED \Flagged`, `\Flagged $Forwarded`},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			s := open(t, root)
			deliver(t, s, "", c.old, crepe)
			m := mailbox(t, s, Inbox)
			got, err := m.SetFlags([]UID{1}, c.change, flags(t, c.given))
			if err != nil || strings.Join(got[0].Flags.Names(), " ") != c.after {
				t.Errorf("got %v, %v, want %s", got, err, c.after)
			}
			m.Close()
			s.Close()
			v := view(t, mailbox(t, open(t, root), Inbox))
			if got := strings.Join(v.Messages[0].Flags.Names(), " "); got != c.after {
				t.Errorf("after a restart: got %s, want %s", got, c.after)
			}
		})
	}
}

func TestLettersOfOthersStay(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	file := fileOf(t, m, 1)
	if err := os.Rename(file, bobs(s, "cur", filepath.Base(file)+":2,PSqz,experimental")); err != nil {
		t.Fatal(err)
	}
	wantList(t, m, `1:\Seen`)
	if _, err := m.SetFlags([]UID{1}, AddFlags, flags(t, `\Flagged $a`)); err != nil {
		t.Fatal(err)
	}
	if got := filepath.Base(fileOf(t, m, 1)); !strings.HasSuffix(got, ":2,FPSaqz,experimental") {
		t.Errorf("the file is %s", got)
	}
}

func TestThereIsRoomFor26Keywords(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	for i := range maxKeywords {
		if !view(t, m).MoreKeywords {
			t.Errorf("no room after %d", i)
		}
		if _, err := m.SetFlags([]UID{1}, AddFlags, flags(t, fmt.Sprintf("k%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	v := view(t, m)
	if v.MoreKeywords || len(v.Keywords) != maxKeywords {
		t.Errorf("%d keywords, room for more: %v", len(v.Keywords), v.MoreKeywords)
	}
	if _, err := m.SetFlags([]UID{1}, AddFlags, flags(t, `\Seen one-more`)); !errors.Is(err, ErrKeywords) {
		t.Errorf("one more: %v", err)
	}
	if m := view(t, m).Messages[0]; m.Flags.System != 0 || len(m.Flags.words()) != maxKeywords {
		t.Errorf("flags now: %v", m.Flags)
	}
	deliver(t, s, "", "one-more k3", crepe)
	wantList(t, m, "1:"+strings.Join(v.Messages[0].Flags.Names(), ",")+" 2:k3")
}

func TestAnotherProgramAddsKeywords(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	file := fileOf(t, m, 1)
	if err := os.Rename(file, bobs(s, "cur", filepath.Base(file)+":2,ac")); err != nil {
		t.Fatal(err)
	}
	wantList(t, m, "1")
	put(t, bobs(s, keywordsFile), "0 $Junk\n2 $Label1\n3 bad word\nx y\n99 z\n4 $JUNK\n")
	wantList(t, m, "1:$Junk,$Label1")
	if _, err := m.SetFlags([]UID{1}, AddFlags, flags(t, "new")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(bobs(s, keywordsFile))
	if err != nil || string(b) != "0 $Junk\n1 new\n2 $Label1\n" {
		t.Errorf("%q, %v", b, err)
	}
	if got := view(t, m).Keywords; !slices.Equal(got, []string{"$Junk", "new", "$Label1"}) {
		t.Errorf("keywords %v", got)
	}
}
