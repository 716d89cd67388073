package verp

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func path(t *testing.T, s string) mail.Path {
	t.Helper()
	p, err := mail.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFor(t *testing.T) {
	long := strings.Repeat("a", 60)
	for _, tt := range []struct{ sender, rcpt, want string }{
		{"list@crepes.fr", "bob@hamburger.edu", "list+bob=hamburger.edu@crepes.fr"},
		{"list+x@crepes.fr", "bob+y@hamburger.edu", "list+x+bob+y=hamburger.edu@crepes.fr"},
		{"list@crepes.fr", `"b o=b"@hamburger.edu`, `"list+b o=b=hamburger.edu"@crepes.fr`},
		{"list@crepes.fr", "bob@[192.0.2.1]", `"list+bob=[192.0.2.1]"@crepes.fr`},
		{"list@crepes.fr", "jürgen@bücher.example", "list+jürgen=bücher.example@crepes.fr"},
		{"list@crepes.fr", "bob@" + long + "." + long + "." + long + "." + long, "list@crepes.fr"},
		{"list@crepes.fr", "postmaster", "list@crepes.fr"},
	} {
		sender, rcpt := path(t, tt.sender), path(t, tt.rcpt)
		got := For(sender, rcpt)
		if got.String() != tt.want {
			t.Errorf("%s for %s: got %s, want %s", tt.sender, tt.rcpt, got, tt.want)
		}
		if back, ok := Recipient(sender, got); got != sender && (!ok || back != rcpt) {
			t.Errorf("%s reads as %s, %v", got, back, ok)
		}
	}
}

func TestRecipient(t *testing.T) {
	list := mail.Path{Local: "list", Domain: "crepes.fr"}
	for _, p := range []string{"list@crepes.fr", "list+bob@crepes.fr", "list+=x@crepes.fr", "list+bob=@crepes.fr", "list+bob=x@hamburger.edu", "lists+bob=x@crepes.fr"} {
		if rcpt, ok := Recipient(list, path(t, p)); ok {
			t.Errorf("%s reads as %s", p, rcpt)
		}
	}
}

// Whatever the addresses: what goes out comes back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[ -~]{1,20}`)
		domain := rapid.StringMatching(`[a-z0-9-]{1,20}(\.[a-z]{2,5}){1,2}`)
		sender := mail.Path{Local: local.Draw(t, "sender"), Domain: domain.Draw(t, "sender's domain")}
		rcpt := mail.Path{Local: local.Draw(t, "rcpt"), Domain: domain.Draw(t, "rcpt's domain")}
		if back, ok := Recipient(sender, For(sender, rcpt)); !ok || back != rcpt {
			t.Errorf("%v for %v comes back as %v, %v", sender, rcpt, back, ok)
		}
	})
}

func TestSenders(t *testing.T) {
	s := Senders{"bounces@crepes.fr", "lists.crepes.fr"}
	for p, want := range map[string]bool{
		"bounces@crepes.fr": true, "Bounces@Crepes.FR": true, "any@lists.crepes.fr": true,
		"alice@crepes.fr": false, "any@x.lists.crepes.fr": false, "bounces@hamburger.edu": false,
	} {
		if s.Has(path(t, p)) != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
	if s.Has(mail.Path{}) {
		t.Error("the null reverse-path must stay null")
	}
}
