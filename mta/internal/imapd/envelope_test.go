package imapd

import (
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ name, field, want string }{
		{"none", "", ""},
		{"one", "bob@example.net", "||bob|example.net"},
		{"one with a name", "Bob B. <bob@example.net>", "Bob B.||bob|example.net"},
		{"a quoted name", `"Bob, \"B.\"" <bob@example.net>`, `Bob, "B."||bob|example.net`},
		{"an encoded name stays so", "=?utf-8?q?J=C3=BCrgen?= <j@example.net>", "=?utf-8?q?J=C3=BCrgen?=||j|example.net"},
		{"a comment for a name", "bob@example.net (Bob (the one))", "Bob (the one)||bob|example.net"},
		{"two, and a comma too many", "a@b.c, , <d@e.f>,", "||a|b.c;||d|e.f"},
		{"a quoted local part", `"bob b"@example.net`, "||bob b|example.net"},
		{"a quoted local part in brackets", `<"bob b"@example.net>`, "||bob b|example.net"},
		{"an at sign in quotes", `"a@b"@example.net`, "||a@b|example.net"},
		{"a domain literal", "bob@[192.0.2.1]", "||bob|[192.0.2.1]"},
		{"blanks around the at sign", "bob @ example.net", "||bob|example.net"},
		{"a route", "<@a.example,@b.example:bob@example.net>", "||bob|example.net"},
		{"a group", "team: a@b.c, D <d@e.f>;", "||team|;||a|b.c;D||d|e.f;|||"},
		{"an empty group", "undisclosed-recipients:;", "||undisclosed-recipients|;|||"},
		{"a group that does not end", "team: a@b.c", "||team|;||a|b.c;|||"},
		{"no domain", "bob", "||bob|MISSING_DOMAIN"},
		{"no local part", "<@example.net>", "||MISSING_MAILBOX|example.net"},
		{"nothing in brackets", "Bob <>", "Bob||MISSING_MAILBOX|MISSING_DOMAIN"},
		{"brackets that do not end", "Bob <bob@example.net", "Bob||bob|example.net"},
		{"quotes that do not end", `"Bob <bob@example.net>`, "||Bob <bob@example.net>|MISSING_DOMAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, a := range addresses(tt.field) {
				got = append(got, a.Name+"||"+a.Mailbox+"|"+a.Host)
			}
			if all := strings.Join(got, ";"); all != tt.want {
				t.Errorf("got %s, want %s", all, tt.want)
			}
		})
	}
}

// Whatever stands in a field, a group that begins ends, and no address in
// between looks like a beginning or an end.
func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{`"a\"" <b@c>, t: d@e (f), <@r:g@h>;`, "((", `"`, "a@b@c", ":;:;", "<", "\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		group := false
		for _, a := range addresses(field) {
			switch {
			case a.Host != "":
			case a == imap.Address{}:
				if !group {
					t.Errorf("%q: a group ends that did not begin", field)
				}
				group = false
			default:
				if group {
					t.Errorf("%q: a group in a group", field)
				}
				group = true
			}
		}
		if group {
			t.Errorf("%q: a group does not end", field)
		}
	})
}
