package relay

import (
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

func TestParseHop(t *testing.T) {
	tests := []struct {
		in   string
		want Hop
		err  string
	}{
		{in: "mx", want: Hop{Scheme: MX, Port: 25}},
		{in: "mx?tls=required", want: Hop{Scheme: MX, Port: 25, TLS: smtpc.TLSRequired}},
		{in: "smtp://127.0.0.1:2526", want: Hop{Scheme: SMTP, Host: "127.0.0.1", Port: 2526}},
		{in: "smtp://relay.example.org", want: Hop{Scheme: SMTP, Host: "relay.example.org", Port: 25}},
		{in: "smtp://relay.example.org?tls=none", want: Hop{Scheme: SMTP, Host: "relay.example.org", Port: 25, TLS: smtpc.TLSNone}},
		{in: "smtp://relay.example.org?tls=required", want: Hop{Scheme: SMTP, Host: "relay.example.org", Port: 25, TLS: smtpc.TLSRequired, Verify: true}},
		{in: "smtp://relay.example.org?tls=required&verify=no", want: Hop{Scheme: SMTP, Host: "relay.example.org", Port: 25, TLS: smtpc.TLSRequired}},
		{in: "smtp://a:b%40c@relay.example.org:587", want: Hop{Scheme: SMTP, Host: "relay.example.org", Port: 587, User: "a", Password: "b@c", TLS: smtpc.TLSRequired, Verify: true}},
		{in: "smtp://a:b@localhost:587", want: Hop{Scheme: SMTP, Host: "localhost", Port: 587, User: "a", Password: "b"}},
		{in: "smtps://a:b@relay.example.org", want: Hop{Scheme: SMTPS, Host: "relay.example.org", Port: 465, User: "a", Password: "b", TLS: smtpc.TLSImplicit, Verify: true}},
		{in: "lmtp://[::1]:24", want: Hop{Scheme: LMTP, Host: "::1", Port: 24}},
		{in: "http://x", err: "unknown scheme"},
		{in: "smtp://", err: "without a host"},
		{in: "smtp://h:0", err: "bad port"},
		{in: "smtp://h:70000", err: "bad port"},
		{in: "smtp://h/path", err: "no path"},
		{in: "smtp://h?tls=maybe", err: "use none, opportunistic or required"},
		{in: "smtps://h?tls=none", err: "TLS always"},
		{in: "smtp://h?vreify=no", err: "unknown option"},
		{in: "smtp://h?verify=1", err: "use yes or no"},
		{in: "smtp://a:geheim@h:x", err: "not mx"},
		{in: "", err: "unknown scheme"},
	}
	for _, tt := range tests {
		got, err := ParseHop(tt.in)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%q: got error %v, want %q", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%q: got %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParseHop(f *testing.F) {
	for _, s := range []string{"mx", "mx?tls=none", "smtp://a:b@[::1]:25?verify=no", "lmtp://h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHop(s)
		if err == nil && (h.Port < 1 || h.Port > 65535 || h.Scheme != MX && h.Host == "") {
			t.Errorf("%q is %+v", s, h)
		}
	})
}

func TestRoutes(t *testing.T) {
	hop := func(host string) Hop { return NewHop(SMTP, host, 25, "", "") }
	r := &Relay{Routes: []Route{
		{"crepes.fr", hop("exact")},
		{"*.Crepes.fr", hop("below")},
		{"hamburger.edu", NewHop(MX, "", 0, "", "")},
		{"*", hop("rest")},
	}}
	tests := map[string]string{
		"a@crepes.fr":         "smtp://exact:25",
		"a@CREPES.fr":         "smtp://exact:25",
		"a@lyon.crepes.fr":    "smtp://below:25",
		"a@x.lyon.crepes.fr":  "smtp://below:25",
		"a@notcrepes.fr":      "smtp://rest:25",
		"a@Hamburger.edu":     "mx://hamburger.edu:25",
		"a@www.hamburger.edu": "smtp://rest:25",
		"a@[192.0.2.1]":       "smtp://rest:25",
	}
	for path, want := range tests {
		if got := r.hopFor(&message(t, path).Envelope.Recipients[0], nil).String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got, want := (&Relay{}).hopFor(&message(t, "a@b.example").Envelope.Recipients[0], nil).String(), "mx://b.example:25"; got != want {
		t.Errorf("without routes: got %s, want %s", got, want)
	}
}

func TestPluginRoute(t *testing.T) {
	tests := []struct {
		next mail.NextHop
		want Hop
	}{
		{mail.NextHop{Host: "Other.example"}, Hop{Scheme: MX, Host: "other.example", Port: 25}},
		{mail.NextHop{Host: "10.0.0.1", Port: 2525, NoMX: true}, Hop{Scheme: SMTP, Host: "10.0.0.1", Port: 2525}},
		{mail.NextHop{Host: "h", RequireTLS: true, NoMX: true}, Hop{Scheme: SMTP, Host: "h", Port: 25, TLS: smtpc.TLSRequired}},
		{mail.NextHop{Host: "h", LMTP: true}, Hop{Scheme: LMTP, Host: "h", Port: 24}},
	}
	for _, tt := range tests {
		m := message(t, "bob@hamburger.edu")
		m.Envelope.Recipients[0].Route = &tt.next
		r := &Relay{Routes: []Route{{"*", NewHop(SMTP, "rest", 0, "", "")}}}
		if got := r.hopFor(&m.Envelope.Recipients[0], nil); got != tt.want {
			t.Errorf("%+v: got %+v, want %+v", tt.next, got, tt.want)
		}
	}
}
