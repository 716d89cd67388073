package host_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

func TestSend(t *testing.T) {
	c := newCall(abi.HookMessage, nil)
	b := newBlob(c, "Subject: away\n\nBack\rsoon\r\n.")
	for _, e := range []abi.Errno{
		c.Send("", "alice@crepes.fr", b),
		c.Send("postmaster@hamburger.edu", "a@x\nb@x\n", newBlob(c, "Subject: report\r\n\r\nAll well\r\n")),
	} {
		if e != abi.OK {
			t.Fatal(e)
		}
	}
	c.BlobWrite(b, []byte("more"))
	sends := c.Commit().Sends
	if len(sends) != 2 {
		t.Fatalf("got %d", len(sends))
	}
	if got, want := string(sends[0].Octets), "Subject: away\r\n\r\nBack\r\nsoon\r\n.\r\n"; got != want || sends[0].Sender != "" {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Equal(sends[1].Recipients, []string{"a@x", "b@x"}) || sends[1].Sender != "postmaster@hamburger.edu" {
		t.Errorf("got %+v", sends[1])
	}
}

func TestSendRefuses(t *testing.T) {
	c := newCall(abi.HookMessage, nil)
	b := newBlob(c, "Subject: x\r\n\r\n")
	for what, got := range map[string]abi.Errno{
		"nobody":          c.Send("", "", b),
		"an empty line":   c.Send("", "a@x\n\nb@x", b),
		"CR in a line":    c.Send("", "a@x\r\nb@x", b),
		"no address":      c.Send("", "a b", b),
		"bad sender":      c.Send("a b", "a@x", b),
		"empty message":   c.Send("", "a@x", newBlob(c, "")),
		"NUL":             c.Send("", "a@x", newBlob(c, "Subject: \x00\r\n\r\n")),
		"no such message": c.Send("", "a@x", 99),
	} {
		want := abi.BadArg
		if what == "no such message" {
			want = abi.NotFound
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	if n := len(c.Commit().Sends); n != 0 {
		t.Errorf("%d messages are sent", n)
	}
}

func TestSendBreaksLoops(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		want         abi.Errno
	}{
		{"plain mail", "Subject: x", abi.OK},
		{"says it is no automaton", "Auto-Submitted: No (really)", abi.OK},
		{"automatic reply", "auto-submitted: auto-replied; owner=x", abi.Loop},
		{"one field of several", "Auto-Submitted: no\r\nAuto-Submitted: auto-generated", abi.Loop},
		{"empty Auto-Submitted", "Auto-Submitted:", abi.Loop},
		{"bulk", "Precedence: Bulk", abi.Loop},
		{"list", "Precedence: list", abi.Loop},
		{"junk, folded", "Precedence:\r\n junk", abi.Loop},
		{"other precedence", "Precedence: first-class", abi.OK},
		{"mailing list", "List-Id: <go.example.org>", abi.Loop},
	} {
		c := newCall(abi.HookMessage, func(in *host.Input) {
			in.Open = func() (host.Message, error) { return parse(tt.header + "\r\n\r\nbody\r\n"), nil }
		})
		if got := c.Send("", "a@x", newBlob(c, "Subject: x\r\n\r\n")); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	c := newCall(abi.HookMessage, func(in *host.Input) { in.Sender = "" })
	c.SenderSet("alice@crepes.fr") // what the plugin makes of it does not count
	if got := c.Send("", "a@x", newBlob(c, "Subject: x\r\n\r\n")); got != abi.Loop {
		t.Errorf("null reverse-path: got %v", got)
	}
}

func TestSendIsUndone(t *testing.T) {
	c := newCall(abi.HookMessage, nil)
	c.Send("", "a@x", newBlob(c, "Subject: x\r\n\r\n"))
	c.Rollback()
	if n := len(c.Commit().Sends); n != 0 {
		t.Errorf("%d messages are sent", n)
	}
}

func TestSendIsLimited(t *testing.T) {
	c := newCall(abi.HookMessage, func(in *host.Input) { in.Limits = host.Limits{Sends: 2, SendRecipients: 3} })
	b := newBlob(c, "Subject: x\r\n\r\n")
	if got := c.Send("", strings.Repeat("a@x\n", 4), b); got != abi.Limit {
		t.Errorf("recipients: got %v", got)
	}
	for i, want := range []abi.Errno{abi.OK, abi.OK, abi.Limit} {
		if got := c.Send("", "a@x", b); got != want {
			t.Errorf("message %d: got %v, want %v", i+1, got, want)
		}
	}
}
