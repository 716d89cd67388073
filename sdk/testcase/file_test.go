package testcase

import (
	"slices"
	"strings"
	"testing"
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
	if c.Sender() != "" || !slices.Equal(c.To, []string{"a@x", "b@x"}) || !c.LMTP || c.Context.Auth.Login != "alice" ||
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

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string][2]string{
		"no want":           {"-- config.yaml --\na: 1\n", "no file want"},
		"unknown file":      {"-- want --\n-- massage.eml --\n", "file massage.eml: unknown"},
		"unknown key":       {"-- want --\n-- envelope --\nfrm: a@b\n", `unknown key "frm"`},
		"bad address":       {"-- want --\n-- envelope --\nclient: here\n", "file envelope: client"},
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
