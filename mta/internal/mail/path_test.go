package mail

import (
	"strings"
	"testing"
	"time"
)

func TestParsePath(t *testing.T) {
	long := strings.Repeat("a", MaxLocalPart)
	for _, tt := range []struct {
		name, in, want string
	}{
		{"null path", "", ""},
		{"plain", "alice@crepes.fr", "alice@crepes.fr"},
		{"bare name", "postmaster", "postmaster"},
		{"quoted at sign stays in the local part", `"x@z"@y`, `"x@z"@y`},
		{"quotes that are not needed go", `"alice"@crepes.fr`, "alice@crepes.fr"},
		{"quoted pair", `"a\"b"@crepes.fr`, `"a\"b"@crepes.fr`},
		{"blank in quotes", `"a b"@crepes.fr`, `"a b"@crepes.fr`},
		{"address literal", "bob@[127.0.0.1]", "bob@[127.0.0.1]"},
		{"IPv6 literal", "bob@[IPv6:::1]", "bob@[IPv6:::1]"},
		{"source route is dropped", "@a.example,@b.example:c@d.example", "c@d.example"},
		{"UTF-8", "jürgen@bücher.example", "jürgen@bücher.example"},
		{"longest local part", long + "@a", long + "@a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePath(tt.in)
			if err != nil {
				t.Fatalf("ParsePath(%q): %v", tt.in, err)
			}
			if got := p.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if p.IsNull() != (tt.in == "") {
				t.Errorf("IsNull is %t", p.IsNull())
			}
		})
	}
}

func TestParsePathRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no domain after the at sign": "alice@",
		"no local part":               "@crepes.fr",
		"two dots":                    "a..b@crepes.fr",
		"leading dot":                 ".a@crepes.fr",
		"blank":                       "a b@crepes.fr",
		"two at signs":                "a@b@c",
		"angle bracket":               "a>@crepes.fr",
		"line break":                  "a\r\nRCPT@crepes.fr",
		"line break in quotes":        "\"a\r\nb\"@crepes.fr",
		"quotes without an end":       `"a@crepes.fr`,
		"text after quotes":           `"a"b@crepes.fr`,
		"empty quotes":                `""@crepes.fr`,
		"bad UTF-8":                   "a\xff@crepes.fr",
		"empty label":                 "a@b..c",
		"bad literal":                 "a@[1.2.3.4",
		"long local part":             strings.Repeat("a", MaxLocalPart+1) + "@b",
		"long domain":                 "a@" + strings.Repeat("a.", 128) + "b",
	} {
		if p, err := ParsePath(in); err == nil {
			t.Errorf("%s: ParsePath(%q) = %q, want an error", name, in, p)
		}
	}
}

func TestPathEqual(t *testing.T) {
	a := Path{"Bob", "Hamburger.EDU"}
	if !a.Equal(Path{"Bob", "hamburger.edu"}) {
		t.Error("the case of a domain must not matter")
	}
	if a.Equal(Path{"bob", "hamburger.edu"}) {
		t.Error("the case of a local part matters")
	}
}

func TestNewQueueID(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	a, b, later := NewQueueID(now), NewQueueID(now), NewQueueID(now.Add(time.Millisecond))
	if len(a) != 16 || a == b {
		t.Errorf("got %q and %q, want two different IDs of 16 characters", a, b)
	}
	if a >= later || b >= later {
		t.Errorf("%q and %q should sort before %q", a, b, later)
	}
}

// FuzzParsePath holds that what was read is written so that it reads the same,
// and that nothing in it can end a command line or the path.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"", "a@b", `"a b"@c`, `"\""@c`, "@a:b@c", "postmaster", "a@[::1]", "ü@ö"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		out := p.String()
		if strings.ContainsAny(out, "\r\n\x00") {
			t.Fatalf("%q becomes %q", s, out)
		}
		again, err := ParsePath(out)
		if err != nil || again != p {
			t.Fatalf("%q becomes %q, which reads as %v, %v", s, out, again, err)
		}
	})
}
