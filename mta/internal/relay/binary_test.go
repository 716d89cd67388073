package relay

import (
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/verp"
)

// binary is a message that only BINARYMIME can carry: a NUL, bare line ends, a
// lone dot, no line end at the end.
const binary = "Subject: hi\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
	"\x00\xff\n.\n\r.\r\n.\r\nend"

func TestBinary(t *testing.T) {
	offers := func(s *sink) { s.server.EnableBINARYMIME = true }
	for _, tt := range []struct {
		name  string
		set   func(*sink)
		body  gosmtp.BodyType
		whole bool
	}{
		{"where it is taken", offers, gosmtp.BodyBinaryMIME, true},
		{"where it is not", nil, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, tt.set)
			r := to(t, "smtp://"+s.addr)
			for range 2 { // once more on the same connection
				m := message(t, "bob@hamburger.edu", "carol@hamburger.edu")
				m.Envelope.Body, m.Content = mail.BodyBinary, mail.Bytes(binary)
				for _, res := range r.Deliver(t.Context(), m, nil) {
					if res.Outcome != mail.Relayed {
						t.Fatal(short(res), res.Err)
					}
				}
			}
			all := s.all()
			if len(all) != 2 || s.sessions != 1 {
				t.Fatalf("%d messages in %d sessions", len(all), s.sessions)
			}
			for _, got := range all {
				if got.mail.Body != tt.body && !(tt.body == "" && got.mail.Body == gosmtp.Body7Bit) {
					t.Errorf("BODY=%s, want %s", got.mail.Body, tt.body)
				}
				if tt.whole != (got.content == binary) || !tt.whole && (any8Bit([]byte(got.content)) || !strings.Contains(got.content, "base64")) {
					t.Errorf("got %q", got.content)
				}
			}
		})
	}
}

// Content that is shorter than it said must not pass for whole.
func TestBinaryCutShort(t *testing.T) {
	s := newSink(t, func(s *sink) { s.server.EnableBINARYMIME = true })
	m := message(t, "bob@hamburger.edu")
	m.Envelope.Body, m.Content = mail.BodyBinary, shrunk{mail.Bytes(binary)}
	res := to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil)[0]
	if res.Outcome != mail.Deferred || len(s.all()) != 0 || res.Unanswered {
		t.Errorf("got %s; arrived: %v", short(res), s.all())
	}
}

// shrunk is content with one octet less than its size.
type shrunk struct{ mail.Bytes }

func (s shrunk) Size() int64 { return s.Bytes.Size() + 1 }

func TestVERP(t *testing.T) {
	s := newSink(t, nil)
	r := to(t, "smtp://"+s.addr)
	r.VERP = verp.Senders{"alice@crepes.fr"}
	m := message(t, "bob@hamburger.edu", "carol@hamburger.edu")
	for _, res := range r.Deliver(t.Context(), m, nil) {
		if res.Outcome != mail.Relayed {
			t.Fatal(short(res))
		}
	}
	if m.Envelope.ReversePath.String() != "alice@crepes.fr" {
		t.Errorf("the queue's reverse-path became %s", m.Envelope.ReversePath)
	}
	var got []string
	for _, one := range s.all() {
		got = append(got, one.from+">"+strings.Join(one.to, ","))
	}
	if want := "alice+bob=hamburger.edu@crepes.fr>bob@hamburger.edu alice+carol=hamburger.edu@crepes.fr>carol@hamburger.edu"; strings.Join(got, " ") != want {
		t.Errorf("got %s", got)
	}
	for _, other := range []mail.Path{{}, {Local: "bob", Domain: "crepes.fr"}} {
		m.Envelope.ReversePath = other
		r.Deliver(t.Context(), m, nil)
		all := s.all()
		if last := all[len(all)-1]; last.from != other.String() && !(other.IsNull() && last.from == "") || len(last.to) != 2 {
			t.Errorf("of %s: got %+v", other, last)
		}
	}
}
