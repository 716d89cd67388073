package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPatternMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"bob@hamburger.edu", "Bob@Hamburger.EDU", true},
		{"bob@hamburger.edu", "xbob@hamburger.edu", false},
		{"*@hamburger.edu", "bob@hamburger.edu", true},
		{"@hamburger.edu", "bob@hamburger.edu", true},
		{"@hamburger.edu", "bob@sub.hamburger.edu", false},
		{"@*.hamburger.edu", "bob@sub.hamburger.edu", true},
		{"b?b@*", "bab@x", true},
		{"b?b@*", "bb@x", false},
		{"*", "", true},
		{"<>", "", true},
		{"<>", "a@b", false},
		{"*go*nuts*", "the Go-Nuts list", true},
		{"a*b*c", "aXbXbc", true},
		{"a*b*c", "aXbXb", false},
		{"/^b.b@/", "bob@x", true},
		{"/^b.b@/", "Bob@x", false},
		{"/^b.b@/i", "Bob@x", true},
		{"/a/b/", "xa/by", true},
	} {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if _, got := p.match(tt.value, strings.ToLower(tt.value)); got != tt.want {
			t.Errorf("%s on %q: got %t, want %t", tt.pattern, tt.value, got, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ in, user, detail, domain, plain string }{
		{"Bob@Hamburger.edu", "Bob", "", "Hamburger.edu", "bob@hamburger.edu"},
		{"bob+lists@hamburger.edu", "bob", "lists", "hamburger.edu", "bob@hamburger.edu"},
		{"bob+a+b@hamburger.edu", "bob", "a+b", "hamburger.edu", "bob@hamburger.edu"},
		{"+x@hamburger.edu", "+x", "", "hamburger.edu", "+x@hamburger.edu"},
		{"postmaster", "postmaster", "", "", "postmaster"},
		{`"a+b"@x`, `"a+b"`, "", "x", `"a+b"@x`},
		{"", "", "", "", ""},
	} {
		a := split(tt.in, "+")
		if a.user != tt.user || a.detail != tt.detail || a.domain != tt.domain || a.plain != tt.plain {
			t.Errorf("%s: got %+v", tt.in, a)
		}
	}
	if a := split("bob+x@y", ""); a.detail != "" {
		t.Errorf("without a separator: %+v", a)
	}
}

func TestClock(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("Mon 2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	office, night := hours{{8 * 60, 18 * 60}}, hours{{22 * 60, 6 * 60}}
	for _, tt := range []struct {
		name string
		got  bool
		want bool
	}{
		{"begins", office.match(at("Tue 2026-11-24 08:00")), true},
		{"has ended", office.match(at("Tue 2026-11-24 18:00")), false},
		{"before midnight", night.match(at("Tue 2026-11-24 23:59")), true},
		{"after midnight", night.match(at("Tue 2026-11-24 05:59")), true},
		{"by day", night.match(at("Tue 2026-11-24 06:00")), false},
		{"weekday", days(1 << time.Tuesday).match(at("Tue 2026-11-24 06:00")), true},
		{"other weekday", days(1 << time.Monday).match(at("Tue 2026-11-24 06:00")), false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, tt.got, tt.want)
		}
	}
}

func TestFolderPart(t *testing.T) {
	for in, want := range map[string]string{
		"lists": "lists", "../x": "___x", "a/b.c\\d\r\n": "a_b_c_d__", strings.Repeat("é", 40): strings.Repeat("é", 32),
	} {
		if got := folderPart(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzGlob holds globs against the regular expressions that they stand for.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "aXbYc"}, {"*", ""}, {"**a", "a"}, {"?", ""}, {"a*a*a*a*b", "aaaaaaaa"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, glob, s string) {
		if len(glob) > 50 || !isASCII(glob+s) {
			return
		}
		expr := regexp.QuoteMeta(glob)
		expr = strings.ReplaceAll(strings.ReplaceAll(expr, `\*`, `.*`), `\?`, `.`)
		want := regexp.MustCompile(`(?s)^` + expr + `$`).MatchString(s)
		if got := globMatch(glob, s); got != want {
			t.Fatalf("%q on %q: got %t, want %t", glob, s, got, want)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
