package testcase

import (
	"slices"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/host"
)

func TestParse(t *testing.T) {
	c, err := Parse([]byte(`A comment.
-- config.yaml --
b: 1
a: [x, true, null, 1.5, "1"]
-- envelope --
from: <>
to: a@x
to: b@x
listener: lmtp
account: alice
client: 2001:db8::1
-- message.eml --
Subject: x

line
-- want --
verdict: continue
-- want.eml.quoted --
Subject: "x"\r\n
\r\n\xff\\
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Sender() != "" || !slices.Equal(c.To, []string{"a@x", "b@x"}) || c.Context.Server.Listener != "lmtp" || c.Context.Auth.Login != "alice" ||
		c.Context.Client.IP.String() != "2001:db8::1" || c.Context.Client.PTR != "mail.crepes.fr" {
		t.Errorf("envelope: %+v", c)
	}
	if got, want := string(c.Message), "Subject: x\r\n\r\nline\r\n"; got != want {
		t.Errorf("message: got %q, want %q", got, want)
	}
	if got, want := string(c.Want.Message), "Subject: \"x\"\r\n\r\n\xff\\"; got != want {
		t.Errorf("want.eml: got %q, want %q", got, want)
	}
	if got, err := ToJSON(c.Config); err != nil || string(got) != `{"b":1,"a":["x",true,null,1.5,"1"]}` {
		t.Errorf("config: got %s, %v", got, err)
	}
}

func TestParseOfAllHooks(t *testing.T) {
	c, err := Parse([]byte(`-- envelope --
hook: on_delivery
to: a@x
status: deferred
last-reply: 450 4.2.0 Busy: later
to: b@x
resolved: bob
attempts: 2
received: 2026-11-24T09:00:00Z
session-note: a=1
note: b=2
queued-note: c==3
-- kv --
key=value
empty=
-- dns --
# block list
Example.org. MX 10 mx.example.org.
example.org TYPE99 x y
-- want --
verdict: continue
-- want-send-1.eml --
Subject: x
-- want-variant-2.eml.quoted --
a\r\n
`))
	if err != nil {
		t.Fatal(err)
	}
	rcpts := c.Recipients()
	if len(rcpts) != 2 || rcpts[0].Status != "deferred" || rcpts[0].LastReply != "450 4.2.0 Busy: later" ||
		rcpts[1].Resolved != "bob" || rcpts[1].Original != "b@x" || rcpts[1].Origin != 1 {
		t.Errorf("recipients: %+v", rcpts)
	}
	if c.Hook != "on_delivery" || c.Context.Queue.Attempts != 2 || c.Context.Queue.Received.Hour() != 9 ||
		c.SessionNotes["a"] != "1" || c.Notes["b"] != "2" || c.QueuedNotes["c"] != "=3" ||
		c.KV["key"] != "value" || c.KV["empty"] != "" || len(c.KV) != 2 {
		t.Errorf("case: %+v", c)
	}
	for qtype, want := range map[uint16]string{15: "10 mx.example.org.", 99: "x y"} {
		got, err := c.DNS.Lookup(t.Context(), qtype, "EXAMPLE.org")
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("type %d: got %q, %v", qtype, got, err)
		}
	}
	if string(c.Want.Others["send-1"]) != "Subject: x\r\n" || string(c.Want.Others["variant-2"]) != "a\r\n" {
		t.Errorf("messages: %q", c.Want.Others)
	}
}

func TestCompareOfMessages(t *testing.T) {
	want := &Want{Text: "verdict: continue\n", Others: map[string][]byte{"send-1": []byte("a\r\n"), "variant-1": []byte("b\r\n")}}
	c := Case{Message: []byte("m\r\n"), Want: want}
	r := Result{Verdict: "continue", Message: c.Message, Sends: []host.Sent{
		{Recipients: []string{"a@x"}, Octets: []byte("other\r\n")}, {Recipients: []string{"b@x"}, Octets: []byte("more\r\n")},
	}}
	var what []string
	for _, d := range c.Compare(r) {
		what = append(what, d.What)
	}
	// A message that a case says nothing of differs too, in the lines and by its octets.
	if want := []string{"result", "send-1", "send-2", "variant-1"}; !slices.Equal(what, want) {
		t.Errorf("got %q, want %q", what, want)
	}
	updated := Update([]byte("-- want --\nx\n"), &c, r)
	again, err := Parse(updated)
	if err != nil {
		t.Fatal(err)
	}
	again.Message = c.Message
	if d := again.Compare(r); len(d) != 0 {
		t.Errorf("after an update: %q", d)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string][2]string{
		"no want":           {"-- config.yaml --\na: 1\n", "no file want"},
		"unknown file":      {"-- want --\n-- massage.eml --\n", "file massage.eml: unknown"},
		"unknown key":       {"-- want --\n-- envelope --\nfrm: a@b\n", `unknown key "frm"`},
		"bad address":       {"-- want --\n-- envelope --\nclient: here\n", "file envelope: client"},
		"no hook":           {"-- want --\n-- envelope --\nhook: rcpt\n", `"rcpt" is no hook`},
		"nobody yet":        {"-- want --\n-- envelope --\nstatus: deferred\n", "above the first recipient"},
		"no pair":           {"-- want --\n-- kv --\nabc\n", `"abc" is not as in key=value`},
		"no record":         {"-- want --\n-- dns --\nexample.org MX\n", "is not as in `example.org MX"},
		"no type":           {"-- want --\n-- dns --\nexample.org TYPE70000 x\n", "is not as in `example.org MX"},
		"no such message":   {"-- want --\n-- want-send-0.eml --\n", "file want-send-0.eml: unknown"},
		"bad time":          {"-- want --\n-- envelope --\nnow: today\n", "file envelope: now"},
		"bad quoted octets": {"-- want --\n-- message.eml.quoted --\n\\q\n", "file message.eml.quoted"},
	} {
		if _, err := Parse([]byte(tt[0])); err == nil || !strings.Contains(err.Error(), tt[1]) {
			t.Errorf("%s: got %v, want %s", name, err, tt[1])
		}
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a\r\nb", "\x00\xff\"\\é\u2028", "a\n\n", "\r"} {
		got, err := unquote(string(quote([]byte(s))))
		if err != nil || string(got) != s {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
}

func TestKeepKinds(t *testing.T) {
	got := "verdict: continue\nfrom: a\nto: b\nlog: info: x\nlog: warn: y\n"
	for want, kept := range map[string]string{
		"verdict: continue\n":        "verdict: continue\nlog: warn: y\n",
		"verdict: reject\nto: c\n":   "verdict: continue\nto: b\nlog: warn: y\n",
		"verdict: x\nlog: info: x\n": "verdict: continue\nlog: info: x\nlog: warn: y\n",
	} {
		if s := keepKinds(got, want); s != kept {
			t.Errorf("for %q: got %q, want %q", want, s, kept)
		}
	}
}
