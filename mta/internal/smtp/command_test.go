package smtp

import (
	"errors"
	"math"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestParseMail(t *testing.T) {
	alice := mail.Path{Local: "alice", Domain: "crepes.fr"}
	null, who := "", "alice=x@crepes.fr"
	for _, tt := range []struct {
		name, arg string
		path      mail.Path
		opts      gosmtp.MailOptions
		code      int // zero: no error
	}{
		{name: "plain", arg: "FROM:<alice@crepes.fr>", path: alice},
		{name: "a blank after the colon", arg: "FROM: <alice@crepes.fr>", path: alice},
		{name: "lower case", arg: "from:<alice@crepes.fr> size=5", path: alice, opts: gosmtp.MailOptions{Size: 5}},
		{name: "null path", arg: "FROM:<>", path: mail.Path{}},
		{name: "several blanks", arg: "FROM:<alice@crepes.fr>  SIZE=5   BODY=8bitmime ", path: alice, opts: gosmtp.MailOptions{Size: 5, Body: gosmtp.Body8BitMIME}},
		{name: "the greatest size", arg: "FROM:<alice@crepes.fr> SIZE=99999999999999999999", path: alice, opts: gosmtp.MailOptions{Size: math.MaxInt64}},
		{name: "21 digits", arg: "FROM:<alice@crepes.fr> SIZE=000000000000000000001", code: 501},
		{name: "negative size", arg: "FROM:<alice@crepes.fr> SIZE=-1", code: 501},
		{name: "DSN", arg: "FROM:<alice@crepes.fr> RET=full ENVID=a+2Bb", path: alice, opts: gosmtp.MailOptions{Return: gosmtp.DSNReturnFull, EnvelopeID: "a+b"}},
		{name: "ENVID too long", arg: "FROM:<alice@crepes.fr> ENVID=" + strings.Repeat("a", 101), code: 501},
		{name: "ENVID with a line break", arg: "FROM:<alice@crepes.fr> ENVID=a+0A", code: 501},
		{name: "bad xtext", arg: "FROM:<alice@crepes.fr> ENVID=a+0", code: 501},
		{name: "AUTH=<>", arg: "FROM:<alice@crepes.fr> AUTH=<>", path: alice, opts: gosmtp.MailOptions{Auth: &null}},
		{name: "AUTH", arg: "FROM:<alice@crepes.fr> AUTH=alice+3Dx@crepes.fr", path: alice, opts: gosmtp.MailOptions{Auth: &who}},
		{name: "SMTPUTF8", arg: "FROM:<alice@crepes.fr> SMTPUTF8", path: alice, opts: gosmtp.MailOptions{UTF8: true}},
		{name: "SMTPUTF8 with a value", arg: "FROM:<alice@crepes.fr> SMTPUTF8=yes", code: 501},
		{name: "unknown", arg: "FROM:<alice@crepes.fr> X=1", code: 555},
		{name: "twice", arg: "FROM:<alice@crepes.fr> SIZE=1 SIZE=1", code: 501},
		{name: "no brackets", arg: "FROM:alice@crepes.fr", code: 501},
		{name: "no end of the path", arg: "FROM:<alice@crepes.fr", code: 501},
		{name: "text after the path", arg: "FROM:<alice@crepes.fr>x", code: 501},
		{name: "no colon", arg: "FROM <alice@crepes.fr>", code: 501},
		{name: "empty", arg: "", code: 501},
		{name: "no domain", arg: "FROM:<alice>", code: 501},
		{name: "bracket in quotes", arg: `FROM:<"a>\"b"@crepes.fr>`, path: mail.Path{Local: `a>"b`, Domain: "crepes.fr"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, opts, err := ParseMail(tt.arg)
			if code := codeOf(err); code != tt.code {
				t.Fatalf("got %v, want code %d", err, tt.code)
			}
			if tt.code != 0 {
				return
			}
			if path != tt.path {
				t.Errorf("got path %q, want %q", path, tt.path)
			}
			if diff := cmp.Diff(tt.opts, opts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func codeOf(err error) int {
	if r, ok := errors.AsType[*Reply](err); ok {
		return r.Code
	}
	return 0
}

func TestParseRcpt(t *testing.T) {
	bob := mail.Path{Local: "bob", Domain: "hamburger.edu"}
	for _, tt := range []struct {
		name, arg string
		path      mail.Path
		opts      gosmtp.RcptOptions
		code      int
	}{
		{name: "plain", arg: "TO:<bob@hamburger.edu>", path: bob},
		{name: "a blank after the colon", arg: "TO: <bob@hamburger.edu>", path: bob},
		{name: "postmaster", arg: "TO:<Postmaster>", path: mail.Path{Local: "Postmaster"}},
		{name: "source route", arg: "TO:<@a,@b:bob@hamburger.edu>", path: bob},
		{name: "no domain", arg: "TO:<bob>", code: 501},
		{name: "null path", arg: "TO:<>", code: 501},
		{name: "NOTIFY", arg: "TO:<bob@hamburger.edu> NOTIFY=success,Failure", path: bob, opts: gosmtp.RcptOptions{Notify: []gosmtp.DSNNotify{"SUCCESS", "FAILURE"}}},
		{name: "NEVER is alone", arg: "TO:<bob@hamburger.edu> NOTIFY=SUCCESS,NEVER", code: 501},
		{name: "empty NOTIFY", arg: "TO:<bob@hamburger.edu> NOTIFY=", code: 501},
		{name: "ORCPT", arg: "TO:<bob@hamburger.edu> ORCPT=rfc822;b+2Bc@hamburger.edu", path: bob, opts: gosmtp.RcptOptions{OriginalRecipientType: "RFC822", OriginalRecipient: "b+c@hamburger.edu"}},
		{name: "ORCPT in UTF-8", arg: `TO:<bob@hamburger.edu> ORCPT=utf-8;\x{FC}@x`, path: bob, opts: gosmtp.RcptOptions{OriginalRecipientType: "UTF-8", OriginalRecipient: "ü@x"}},
		{name: "ORCPT with a line break", arg: `TO:<bob@hamburger.edu> ORCPT=utf-8;\x{0A}`, code: 501},
		{name: "ORCPT with a surrogate", arg: `TO:<bob@hamburger.edu> ORCPT=utf-8;\x{D800}`, code: 501},
		{name: "ORCPT without a type", arg: "TO:<bob@hamburger.edu> ORCPT=;a", code: 501},
		{name: "SIZE is for MAIL", arg: "TO:<bob@hamburger.edu> SIZE=1", code: 555},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, opts, err := ParseRcpt(tt.arg)
			if code := codeOf(err); code != tt.code {
				t.Fatalf("got %v, want code %d", err, tt.code)
			}
			if tt.code != 0 {
				return
			}
			if path != tt.path {
				t.Errorf("got path %q, want %q", path, tt.path)
			}
			if diff := cmp.Diff(tt.opts, opts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseHelo(t *testing.T) {
	for arg, want := range map[string]string{
		"crepes.fr":                  "crepes.fr",
		"crepes.fr.":                 "crepes.fr",
		"my_host":                    "my_host",
		"192.0.2.1":                  "192.0.2.1",
		"[192.0.2.1]":                "[192.0.2.1]",
		"[IPv6:2001:db8::1]":         "[IPv6:2001:db8::1]",
		"":                           "",
		".":                          "",
		"a b":                        "",
		"a..b":                       "",
		"a)b":                        "",
		"a\r\nb":                     "",
		"[]":                         "",
		"[1.2.3.4":                   "",
		"bücher.example":             "",
		strings.Repeat("a.", 129):    "",
		"[a]b]":                      "",
		"a;b":                        "",
		"<script>":                   "",
		"xn--bcher-kva.example":      "xn--bcher-kva.example",
		"[IPv6:fe80::1%eth0]":        "",
		strings.Repeat("a", 63):      strings.Repeat("a", 63),
		"client.example.net:25":      "",
		"-":                          "-",
		"localhost.localdomain":      "localhost.localdomain",
		"DESKTOP-1234":               "DESKTOP-1234",
		"[10.0.0.1] (may be forged)": "",
	} {
		got, err := ParseHelo(arg)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseHelo(%q) = %q, %v, want %q", arg, got, err, want)
		}
	}
}

func TestParseBdat(t *testing.T) {
	for _, tt := range []struct {
		arg  string
		size int64
		last bool
		ok   bool
	}{
		{"0", 0, false, true},
		{"10", 10, false, true},
		{"10 LAST", 10, true, true},
		{"10  last", 10, true, true},
		{"99999999999999999999 LAST", math.MaxInt64, true, true},
		{"", 0, false, false},
		{"LAST", 0, false, false},
		{"-1", 0, false, false},
		{"+1", 0, false, false},
		{"0x10", 0, false, false},
		{"10 FIRST", 0, false, false},
		{"10 LAST LAST", 0, false, false},
	} {
		size, last, err := ParseBdat(tt.arg)
		if size != tt.size || last != tt.last || (err == nil) != tt.ok {
			t.Errorf("ParseBdat(%q) = %d, %t, %v", tt.arg, size, last, err)
		}
	}
}

func TestReplyAppend(t *testing.T) {
	long := strings.Repeat("word ", 200)
	for _, tt := range []struct {
		name string
		r    Reply
		utf8 bool
		want string
	}{
		{"one line", Reply{250, Enh{2, 0, 0}, "OK"}, false, "250 2.0.0 OK\r\n"},
		{"no enhanced code", Reply{250, Enh{}, "OK"}, false, "250 OK\r\n"},
		{"no text", Reply{334, Enh{}, ""}, false, "334 \r\n"},
		{"two lines", Reply{550, Enh{5, 7, 1}, "a\nb"}, false, "550-5.7.1 a\r\n550 5.7.1 b\r\n"},
		{"CRLF in the text", Reply{550, Enh{}, "a\r\n250 b"}, false, "550-a\r\n550 250 b\r\n"},
		{"bare CR in the text", Reply{550, Enh{}, "a\r250 b"}, false, "550 a?250 b\r\n"},
		{"control characters", Reply{550, Enh{}, "a\x00\x1b[1m\x7f"}, false, "550 a??[1m?\r\n"},
		{"8-bit text", Reply{550, Enh{}, "ü"}, false, "550 ??\r\n"},
		{"UTF-8 where it may be", Reply{550, Enh{}, "ü\xff"}, true, "550 ü?\r\n"},
		{"a code that is none", Reply{99, Enh{}, "a"}, false, "451 a\r\n"},
		{"a long line", Reply{550, Enh{5, 7, 1}, long}, false, ""},
		{"a long word", Reply{550, Enh{5, 7, 1}, strings.Repeat("ü", 600)}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.r.Append(nil, tt.utf8))
			if tt.want != "" && got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			checkReply(t, got)
		})
	}
}

// checkReply holds what every reply must be on the wire (RFC 5321 §4.2.1).
func checkReply(t *testing.T, got string) {
	t.Helper()
	body, ok := strings.CutSuffix(got, "\r\n")
	if !ok {
		t.Fatalf("%q does not end in CRLF", got)
	}
	lines := strings.Split(body, "\r\n")
	for i, line := range lines {
		last := i == len(lines)-1
		if len(line) < 4 || line[3] != "- "[b2i(last)] || line[:3] != lines[0][:3] || len(line) > 510 {
			t.Errorf("line %d of %q", i, got)
		}
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d is %q", i, line)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzReplyAppend(f *testing.F) {
	f.Add(550, "a\r\nb", true)
	f.Add(250, strings.Repeat("ü", 300), true)
	f.Add(0, strings.Repeat("x", 1100), false)
	f.Fuzz(func(t *testing.T, code int, text string, utf8 bool) {
		r := Reply{Code: code, Enh: Enh{5, 123, 123}, Text: text}
		checkReply(t, string(r.Append(nil, utf8)))
	})
}

// FuzzCommand holds that whatever a command brings is harmless in a header
// field, in a reply and in a DSN.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"FROM:<alice@crepes.fr> SIZE=1 BODY=8BITMIME", `TO:<"a>b"@c> ORCPT=rfc822;a+2Bb NOTIFY=NEVER`, "crepes.fr", "10 LAST",
		"FROM:<> ENVID=a+0Db AUTH=<>", `TO:<bob@x> ORCPT=utf-8;\x{20AC}`, "[IPv6:::1]", "TO: <@a:b@c>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		harmless := func(what, s string) {
			if strings.ContainsAny(s, "\r\n\x00") {
				t.Fatalf("%s is %q", what, s)
			}
		}
		if p, o, err := ParseMail(arg); err == nil {
			harmless("path", p.String())
			harmless("ENVID", o.EnvelopeID)
			if o.Auth != nil {
				harmless("AUTH", *o.Auth)
			}
			if o.Size < 0 {
				t.Fatalf("size %d", o.Size)
			}
		} else if codeOf(err) == 0 {
			t.Fatalf("%v is no reply", err)
		}
		if p, o, err := ParseRcpt(arg); err == nil {
			harmless("path", p.String())
			harmless("ORCPT", string(o.OriginalRecipientType)+o.OriginalRecipient)
			if p.Domain == "" && !strings.EqualFold(p.Local, "postmaster") {
				t.Fatalf("path %q", p)
			}
		} else if codeOf(err) == 0 {
			t.Fatalf("%v is no reply", err)
		}
		if name, err := ParseHelo(arg); err == nil && strings.ContainsAny(name, " ()<>;,\"\\\r\n\t\x00") {
			t.Fatalf("HELO %q", name)
		}
		if size, _, err := ParseBdat(arg); err == nil && size < 0 {
			t.Fatalf("BDAT %d", size)
		}
	})
}
