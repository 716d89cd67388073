package condition

import (
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func transaction() *mail.Transaction {
	return &mail.Transaction{
		Received: time.Date(2026, 11, 24, 23, 5, 0, 0, time.UTC), // a Tuesday
		Client: mail.Client{
			Addr: netip.MustParseAddrPort("[::ffff:10.1.2.3]:4321"), Name: "mail.crepes.fr", Helo: "crepes.fr",
			Listener: mail.ListenerSubmission, TLS: "TLSv1.3", Account: "alice",
		},
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "Crepes.FR"},
			Recipients: []mail.Recipient{
				{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}},
				{Path: mail.Path{Local: "postmaster"}},
			},
		},
		Content: mail.Bytes("Subject: =?utf-8?q?cr=C3=AApe?=\r\n recipe\r\n\r\nDear Bob\r\n"),
	}
}

func TestMatch(t *testing.T) {
	for source, want := range map[string]bool{
		"size < 1048576 && !authenticated":           false,
		"size == 54":                                 true,
		`account == "alice" && authenticated`:        true,
		`sender == "alice@Crepes.FR"`:                true,
		`sender_domain == "crepes.fr"`:               true,
		`"bob@hamburger.edu" in recipients`:          true,
		`any(recipients, # startsWith "postmaster")`: true,
		"len(recipients) > 2":                        false,
		`helo matches "^[a-z.]+$"`:                   true,
		`client == "10.1.2.3"`:                       true,
		`in_network(client, "10.0.0.0/8")`:           true,
		`in_network(client, "10.1.2.3")`:             true,
		`in_network(client, "2001:db8::/32")`:        false,
		`in_network("", "10.0.0.0/8")`:               false,
		`client_name endsWith ".crepes.fr"`:          true,
		`listener == "submission" and tls`:           true,
		`hour >= 22 || hour < 6`:                     true,
		`weekday in ["saturday", "sunday"]`:          false,
		`header("subject") contains "crêpe recipe"`:  true,
		`header("X-None") == ""`:                     true,
	} {
		c, err := Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := c.Match(transaction())
		if err != nil || got != want {
			t.Errorf("%s: got %t, %v, want %t", source, got, err, want)
		}
	}
}

func TestMatchWithNothingKnown(t *testing.T) {
	c, err := Compile(`size == 0 && sender == "" && client == "" && !in_network(client, "0.0.0.0/0") && header("Subject") == ""`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Match(&mail.Transaction{}); err != nil || !got {
		t.Errorf("got %t, %v", got, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, source, want string
		line, column       int
	}{
		{"mistyped name", "sise < 10", "unknown name sise; did you mean size?", 1, 1},
		{"mistyped name further on", "size < 10 &&\n  authentcated", "unknown name authentcated; did you mean authenticated?", 2, 3},
		{"mistyped function", `haeder("Subject") == ""`, "unknown name haeder; did you mean header?", 1, 1},
		{"name like none", "frobnicate", "unknown name frobnicate; known names are size, sender", 1, 1},
		{"number", "size", "must be true or false, but is of type int", 1, 1},
		{"two types", `size > "big"`, "invalid operation: > (mismatched types int64 and string)", 1, 6},
		{"not an expression", "size <", "unexpected token EOF", 1, 6},
		{"bad regular expression", `helo matches "("`, "missing closing )", 1, 6},
		{"network that is none", `tls && in_network(client, "10.0.0.0/33")`, `"10.0.0.0/33" is no network; write it as 10.0.0.0/8`, 1, 27},
		{"wrong number of arguments", `in_network(client)`, "not enough arguments", 1, 1},
		{"clock", "now().Hour() > 3", "unknown name now", 1, 4},
		{"empty", " ", "empty condition; leave `when` out", 1, 1},
		{"too long", "tls" + strings.Repeat(" || tls", 2000), "the limit is 8192", 1, 1},
		{"too large", "tls" + strings.Repeat("||tls", 600), "exceeds maximum allowed nodes", 1, 2504},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(tt.source)
			e, ok := err.(*Error)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), tt.want) || strings.Contains(e.Error(), "\n") {
				t.Errorf("got %q, want %q", e.Error(), tt.want)
			}
			if e.Line() != tt.line || e.Column() != tt.column {
				t.Errorf("%q is at %d:%d, want %d:%d", e.Error(), e.Line(), e.Column(), tt.line, tt.column)
			}
		})
	}
}

// TestMatchIsBounded holds that an expression cannot take the memory, and that
// a failure is an error in one line.
func TestMatchIsBounded(t *testing.T) {
	for _, source := range []string{
		`len(map(1..5000, map(1..5000, #))) > 0`,
		`any(1..1000000000, # == 0)`,
		`in_network(client, helo)`,
		`recipients[7] == ""`,
	} {
		c, err := Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if _, err := c.Match(transaction()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error in one line", source, err)
		}
	}
}

func TestNamesAreThoseOfValues(t *testing.T) {
	have := map[string]bool{}
	typ := reflect.TypeFor[values]()
	for i := range typ.NumField() {
		have[typ.Field(i).Tag.Get("expr")] = true
	}
	for _, n := range Names {
		if !have[n.Name] {
			t.Errorf("%s is in the table and not in values", n.Name)
		}
		delete(have, n.Name)
		if _, err := Compile(n.Example); err != nil {
			t.Errorf("example of %s: %v", n.Name, err)
		}
		if !strings.Contains(Reference(), "| `"+n.Name+"` | "+n.Type+" |") {
			t.Errorf("%s is not in the reference", n.Name)
		}
	}
	for name := range have {
		t.Errorf("%s is in values and not in the table", name)
	}
}

// TestReferenceIsThatOfTheDocuments holds the page that operators read; with
// UPDATE=1 it is written.
func TestReferenceIsThatOfTheDocuments(t *testing.T) {
	const page = "../../docs/conditions.md"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(page, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != Reference() {
		t.Errorf("%s is not Reference(); write it anew with UPDATE=1", page)
	}
}

func FuzzCompile(f *testing.F) {
	for _, n := range Names {
		f.Add(n.Example)
	}
	f.Add(`len(map(1..5000, map(1..5000, #))) > 0`)
	f.Fuzz(func(t *testing.T, source string) {
		c, err := Compile(source)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Line() < 1 || e.Column() < 1 {
				t.Errorf("%q: %v", source, err)
			}
			return
		}
		_, _ = c.Match(transaction())
	})
}

func BenchmarkMatch(b *testing.B) {
	c, err := Compile("size < 1048576 && !authenticated")
	if err != nil {
		b.Fatal(err)
	}
	tx := transaction()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Match(tx); err != nil {
			b.Fatal(err)
		}
	}
}
