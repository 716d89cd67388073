package mail

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNextHops(t *testing.T) {
	for _, tt := range []struct {
		text string
		want *NextHop // nil: an error
		as   string   // how it is written; empty: as text
	}{
		{"smtp://relay.example.org:2525", &NextHop{Host: "relay.example.org", Port: 2525, NoMX: true}, ""},
		{"smtp://Relay.example.org", &NextHop{Host: "relay.example.org", NoMX: true}, "smtp://relay.example.org:25"},
		{"smtp+tls://relay.example.org:25", &NextHop{Host: "relay.example.org", Port: 25, NoMX: true, RequireTLS: true}, ""},
		{"smtp://127.0.0.1:25", &NextHop{Host: "127.0.0.1", Port: 25, NoMX: true}, ""},
		{"smtp://[::1]:25", &NextHop{Host: "::1", Port: 25, NoMX: true}, ""},
		{"smtp://[::1]", &NextHop{Host: "::1", NoMX: true}, "smtp://[::1]:25"},
		{"lmtp://localhost:24", &NextHop{Host: "localhost", Port: 24, NoMX: true, LMTP: true}, ""},
		{"mx://crepes.fr", &NextHop{Host: "crepes.fr"}, ""},
		{"mx://crepes.fr:26", &NextHop{Host: "crepes.fr", Port: 26}, ""},
		{text: ""}, {text: "relay.example.org"}, {text: "smtps://relay.example.org"}, {text: "smtp://"}, {text: "smtp://a b"},
		{text: "smtp://host:0"}, {text: "smtp://host:70000"}, {text: "smtp://user:secret@host"}, {text: "lmtp://host"}, {text: "mx://127.0.0.1"},
		{text: "smtp://[relay]"}, {text: "smtp://host/path"},
	} {
		got, err := ParseNextHop(tt.text)
		if tt.want == nil {
			if err == nil {
				t.Errorf("%q: %+v, want an error", tt.text, got)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", tt.text, err, diff)
			continue
		}
		as := tt.as
		if as == "" {
			as = tt.text
		}
		if got.String() != as {
			t.Errorf("%q is written %q, want %q", tt.text, got, as)
		}
	}
}
