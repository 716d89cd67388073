package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Test is one message with what should become of it, for `mta test`.
type Test struct {
	Name       string
	Message    string      // file; joined to Dir
	From       *mail.Path  // nil: not given
	To         []mail.Path // none: not given
	Client     netip.Addr  // not valid: not given
	ClientName string
	Helo       string
	Account    string
	TLS        string
	Now        time.Time // zero: not given
	DNS        []Records
	Repeat     int           // how often the message is sent; the last time counts
	Wait       time.Duration // between two times
	Expect     Expect
}

// Records are what DNS answers to one question.
type Records struct {
	Name string
	Type string // in upper case: "TXT"
	Data []string
}

// Expect is what should become of a test's message. What is empty is not
// looked at.
type Expect struct {
	Verdict  string        // accept, reject, defer, discard, quarantine or disconnect
	Reply    string        // the reply contains it
	Held     string        // the reason that the message is held for contains it
	To       []mail.Path   // the recipients that are left
	Folder   string        // where stages have each of them delivered
	Header   []HeaderField // in the order of the file
	NoHeader []string      // fields that are not there
	Text     []string      // each is in the decoded text of a part
	Sends    []mail.Path   // who gets the messages that stages send
}

// A HeaderField is the name and the value that a test expects.
type HeaderField struct{ Name, Value string }

// defaultTest is a test that says little.
func defaultTest() Test { return Test{Repeat: 1} }

func testKeys() object[Test] {
	return object[Test]{keys: []key[Test]{
		required(field("name", text("sentence"), func(t *Test) *string { return &t.Name }, "What is tested.")),
		required(field("message", path("message file"), func(t *Test) *string { return &t.Message }, "The message.")),
		field("from", nullablePath(), func(t *Test) **mail.Path { return &t.From }, "The reverse-path; `<>` is the null one. Left out: that of the message's fields."),
		field("to", list[mail.Path]{elem: mailPath()}, func(t *Test) *[]mail.Path { return &t.To }, "The forward-paths. Left out: those of the message's fields."),
		field("client", clientAddress(), func(t *Test) *netip.Addr { return &t.Client }, "The client's address. Left out: 192.0.2.1."),
		field("client_name", text("name"), func(t *Test) *string { return &t.ClientName }, "The client's name in DNS."),
		field("helo", text("name"), func(t *Test) *string { return &t.Helo }, "What the client says in EHLO."),
		field("account", text("name"), func(t *Test) *string { return &t.Account }, "Who is logged in."),
		field("tls", text("version"), func(t *Test) *string { return &t.TLS }, "The version of TLS, as in TLSv1.3."),
		field("now", moment(), func(t *Test) *time.Time { return &t.Now }, "The time, which stands still. Left out: 2026-11-24T10:00:00Z."),
		field("dns", records(), func(t *Test) *[]Records { return &t.DNS }, "What DNS answers, by a name and a type such as `crepes.fr TXT`; there is nothing else in it. The answer `!timeout` is one that does not come."),
		field("repeat", number(1, 1000), func(t *Test) *int { return &t.Repeat }, "How often the message is sent; what is expected is the end of the last time."),
		field("wait", duration(0, forever), func(t *Test) *time.Duration { return &t.Wait }, "How much time passes between two times."),
		field("expect", expectKeys(), func(t *Test) *Expect { return &t.Expect }, "What should become of it."),
	}}
}

func expectKeys() object[Expect] {
	return object[Expect]{keys: []key[Expect]{
		field("verdict", enum("accept", "reject", "defer", "discard", "quarantine", "disconnect"), func(e *Expect) *string { return &e.Verdict }, "What the pipeline answers."),
		field("reply", text("text"), func(e *Expect) *string { return &e.Reply }, "Text that the reply contains."),
		field("held", text("text"), func(e *Expect) *string { return &e.Held }, "Text in the reason that the message is held for."),
		field("to", list[mail.Path]{elem: mailPath()}, func(e *Expect) *[]mail.Path { return &e.To }, "The recipients that are left."),
		field("folder", text("folder"), func(e *Expect) *string { return &e.Folder }, "The folder that stages deliver to, for every recipient."),
		field("header", dict[HeaderField]{
			what: "a field", want: "a name such as Subject",
			name: func(_ *Options, key string) (HeaderField, string, error) {
				return HeaderField{Name: key}, strings.ToLower(key), nil
			},
			elem: part(anyText(), func(h *HeaderField) *string { return &h.Value }),
		}, func(e *Expect) *[]HeaderField { return &e.Header }, "Header fields and their values, decoded."),
		field("no_header", list[string]{elem: text("field's name")}, func(e *Expect) *[]string { return &e.NoHeader }, "Header fields that are not there."),
		field("text", list[string]{elem: text("text")}, func(e *Expect) *[]string { return &e.Text }, "Texts that are in a part, decoded."),
		field("sends", list[mail.Path]{elem: mailPath()}, func(e *Expect) *[]mail.Path { return &e.Sends }, "Who gets the messages that stages send."),
	}}
}

func mailPath() scalar[mail.Path] {
	return scalar[mail.Path]{
		words: "address", want: "an address such as bob@hamburger.edu",
		parse: func(s string) (mail.Path, error) {
			p, err := mail.ParsePath(s)
			if err != nil {
				err = fmt.Errorf("%q is not an address: %w", quotable(s), err)
			}
			return p, err
		},
	}
}

// nullablePath is an address, or the null reverse-path.
func nullablePath() scalar[*mail.Path] {
	address := mailPath()
	return scalar[*mail.Path]{
		words: "address", want: address.want + ", or \"<>\"",
		parse: func(s string) (*mail.Path, error) {
			if s == "<>" {
				return &mail.Path{}, nil
			}
			p, err := address.parse(s)
			return &p, err
		},
	}
}

func clientAddress() scalar[netip.Addr] {
	return scalar[netip.Addr]{
		words: "IP address", want: "an address such as 192.0.2.1",
		parse: func(s string) (netip.Addr, error) {
			a, err := netip.ParseAddr(s)
			if err != nil {
				err = fmt.Errorf("%q is not an IP address", quotable(s))
			}
			return a, err
		},
	}
}

// moment is a point in time.
func moment() scalar[time.Time] {
	return scalar[time.Time]{
		words: "time", want: "a time such as 2026-11-24T10:00:00Z",
		parse: func(s string) (time.Time, error) {
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				err = fmt.Errorf("%q is not a time", quotable(s))
			}
			return t, err
		},
	}
}

// RecordTypes are the types of records that a test can have.
var RecordTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT"}

func records() dict[Records] {
	return dict[Records]{
		what: "a question", want: `a name and a type such as "crepes.fr TXT"; types are ` + strings.Join(RecordTypes, ", "),
		name: func(_ *Options, key string) (Records, string, error) {
			name, kind, _ := strings.Cut(key, " ")
			r := Records{Name: strings.ToLower(strings.TrimSuffix(name, ".")), Type: strings.ToUpper(strings.TrimSpace(kind))}
			if _, err := enum(RecordTypes...).parse(r.Type); err != nil || name == "" {
				return r, key, errNotName
			}
			return r, r.Name + " " + r.Type, nil
		},
		elem: part(list[string]{elem: text("record")}, func(r *Records) *[]string { return &r.Data }),
	}
}

// anyText is text that may be empty.
func anyText() scalar[string] {
	return scalar[string]{words: "text", want: "text", parse: func(s string) (string, error) { return s, nil }}
}
