package relay

import (
	"errors"
	"io"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// lmtpSession answers for each recipient.
type lmtpSession struct{ *sinkSession }

func (s lmtpSession) LMTPData(r io.Reader, status gosmtp.StatusCollector) error {
	if err := s.Data(r); err != nil {
		return err
	}
	for _, to := range s.now.to {
		if strings.HasPrefix(to, "full") {
			status.SetStatus(to, &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 2, 2}, Message: "full"})
		} else if strings.HasPrefix(to, "gone") {
			status.SetStatus(to, &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "gone"})
		} else {
			status.SetStatus(to, nil)
		}
	}
	return nil
}

func TestLMTP(t *testing.T) {
	s := newSink(t, func(s *sink) {
		s.server.LMTP = true
		plain := s.server.Backend
		s.server.Backend = gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
			session, err := plain.NewSession(c)
			return lmtpSession{session.(*sinkSession)}, err
		})
	})
	r := to(t, "lmtp://"+s.addr)
	results := r.Deliver(t.Context(), message(t, "full@h.edu", "bob@h.edu", "gone@h.edu"), nil)
	var got []string
	for _, res := range results {
		got = append(got, string(res.Outcome)+" "+res.Enh)
	}
	if want := []string{"deferred 4.2.2", "relayed 2.0.0", "bounced 5.1.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDSN(t *testing.T) {
	for _, offered := range []bool{true, false} {
		s := newSink(t, func(s *sink) { s.server.EnableDSN = offered })
		m := message(t, "bob@hamburger.edu")
		m.Envelope.Ret, m.Envelope.EnvID = "HDRS", "a+b"
		m.Envelope.Recipients[0].Notify = mail.NotifySuccess | mail.NotifyFailure
		m.Envelope.Recipients[0].ORCPT = "rfc822;robert+x@hamburger.edu"
		res := to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil)[0]
		if res.Outcome != mail.Relayed || res.DSN != offered {
			t.Errorf("got %+v, want DSN %v", res, offered)
		}
		got := s.all()[0]
		if !offered {
			if got.mail.Return != "" || got.rcpt[0].Notify != nil {
				t.Errorf("got %+v", got)
			}
			continue
		}
		if got.mail.Return != "HDRS" || got.mail.EnvelopeID != "a+b" || len(got.rcpt[0].Notify) != 2 || got.rcpt[0].OriginalRecipient != "robert+x@hamburger.edu" {
			t.Errorf("got %+v", got)
		}
	}
}

// TestNotifyNever: a next hop that cannot be told NEVER has nobody to report to.
func TestNotifyNever(t *testing.T) {
	for offered, want := range map[bool]string{
		true:  "alice@crepes.fr>bob@hamburger.edu,carol@hamburger.edu,dave@hamburger.edu",
		false: "alice@crepes.fr>bob@hamburger.edu >carol@hamburger.edu,dave@hamburger.edu",
	} {
		s := newSink(t, func(s *sink) { s.server.EnableDSN = offered })
		m := message(t, "bob@hamburger.edu", "carol@hamburger.edu", "dave@hamburger.edu")
		m.Envelope.Recipients[1].Notify, m.Envelope.Recipients[2].Notify = mail.NotifyNever, mail.NotifyNever
		for _, res := range to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil) {
			if res.Outcome != mail.Relayed {
				t.Error(short(res))
			}
		}
		var got []string
		for _, one := range s.all() {
			got = append(got, one.from+">"+strings.Join(one.to, ","))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("DSN offered %v: got %q, want %q", offered, got, want)
		}
	}
}

func TestUTF8(t *testing.T) {
	tests := []struct {
		name    string
		offered bool
		from    string
		said    bool
		want    string // enhanced codes
		utf8    bool
	}{
		{"offered", true, "alice@crepes.fr", true, "2.0.0 2.0.0", true},
		{"offered, for an address that a plugin wrote", true, "alice@crepes.fr", false, "2.0.0 2.0.0", true},
		{"not offered, to such an address", false, "alice@crepes.fr", true, "2.0.0 5.6.7", false},
		{"not offered, from such an address", false, "andré@crepes.fr", true, "5.6.7 5.6.7", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, func(s *sink) { s.server.EnableSMTPUTF8 = tt.offered })
			m := message(t, "bob@hamburger.edu", "béa@hamburger.edu")
			m.Envelope.UTF8 = tt.said
			m.Envelope.ReversePath, _ = mail.ParsePath(tt.from)
			results := to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil)
			if got := results[0].Enh + " " + results[1].Enh; got != tt.want {
				t.Errorf("got %q, want %q", shorts(results), tt.want)
			}
			if all := s.all(); len(all) > 0 && all[0].mail.UTF8 != tt.utf8 {
				t.Errorf("SMTPUTF8 is %v", all[0].mail.UTF8)
			}
		})
	}
}

// A header section in UTF-8 goes as it is where SMTPUTF8 is offered, and in
// encoded words where it is not, unless it has addresses that are in UTF-8. What
// nobody announced is left alone.
func TestUTF8Header(t *testing.T) {
	const subject, body = "Subject: crêpes\r\n", "\r\nhi\r\n"
	for _, tt := range []struct {
		name    string
		offered bool
		said    bool
		header  string
		want    string // what begins the content
		enh     string
	}{
		{"offered", true, true, subject, subject, "2.0.0"},
		{"not offered", false, true, subject, "Subject: =?utf-8?", "2.0.0"},
		{"not offered nor announced", false, false, subject, subject, "2.0.0"},
		{"not offered, and not needed", false, true, "Subject: hi\r\n", "Subject: hi\r\n", "2.0.0"},
		{"not offered, with an address", false, true, "From: andré@crêpes.fr\r\n", "", "5.6.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, func(s *sink) { s.server.EnableSMTPUTF8 = tt.offered })
			m := message(t, "bob@hamburger.edu")
			m.Envelope.UTF8, m.Envelope.Body = tt.said, mail.Body8Bit
			m.Content = mail.Bytes(tt.header + body)
			res := to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil)[0]
			if res.Enh != tt.enh {
				t.Fatal(short(res))
			}
			all := s.all()
			if tt.want == "" {
				if len(all) != 0 {
					t.Errorf("arrived: %+v", all)
				}
				return
			}
			if len(all) != 1 || !strings.HasPrefix(strings.ToLower(all[0].content), strings.ToLower(tt.want)) || all[0].mail.UTF8 != (tt.offered && tt.said) {
				t.Errorf("arrived: %+v", all)
			}
		})
	}
}

func TestSize(t *testing.T) {
	s := newSink(t, func(s *sink) { s.server.MaxMessageBytes = 10 })
	res := to(t, "smtp://"+s.addr).Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]
	if res.Outcome != mail.Bounced || res.Code != 552 || res.Enh != "5.3.4" || res.Peer || len(s.all()) != 0 {
		t.Errorf("got %s", short(res))
	}
}

// 8-bit content goes as it is where it may, and 7-bit content is not called
// 8-bit.
func TestBody(t *testing.T) {
	const eightBit, without = "S: 220 x\nC: EHLO crepes.fr\nS: 250-x\nS: 250 8BITMIME\n", hello
	tests := []struct {
		name, hello, content string
		said                 mail.Body
		mail                 string
	}{
		{"7-bit", eightBit, "hi", "", "C: MAIL FROM:<alice@crepes.fr>"},
		{"7-bit that the client called 8-bit", eightBit, "hi", mail.Body8Bit, "C: MAIL FROM:<alice@crepes.fr> BODY=8BITMIME"},
		{"7-bit that the client called 8-bit, without 8BITMIME", without, "hi", mail.Body8Bit, "C: MAIL FROM:<alice@crepes.fr>"},
		{"8-bit that the client did not mention", eightBit, "h\u00ed", "", "C: MAIL FROM:<alice@crepes.fr> BODY=8BITMIME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := staticRelay(t, tt.hello+tt.mail+"\nS: 250 ok\n"+rcptBob+"S: 250 ok\nC: DATA\nS: 354 go\nC: "+tt.content+"\nC: .\nS: 250 ok")
				m := message(t, "bob@hamburger.edu")
				m.Envelope.Body, m.Content = tt.said, mail.Bytes(tt.content+"\r\n")
				check(t, r.Deliver(t.Context(), m, nil), "relayed 192.0.2.1:2525: 250  ok")
				w.done(r)
			})
		})
	}
}

// A next hop that takes no 8-bit content gets the same text in 7 bits.
func TestConverts(t *testing.T) {
	eightBit := "Subject: hi\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nune crêpe\r\n.\r\n"
	dial, dir := smtpSink(t, "-8")
	r := &Relay{Hostname: "crepes.fr", Dial: dial, Routes: []Route{{"*", NewHop(SMTP, "127.0.0.1", 25, "", "")}}}
	defer r.Close()
	for _, said := range []mail.Body{"", mail.Body8Bit, mail.BodyBinary} {
		m := message(t, "bob@hamburger.edu")
		m.Envelope.Body, m.Content = said, mail.Bytes(eightBit)
		if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Relayed {
			t.Fatal(short(res), res.Err)
		}
	}
	for content, n := range kept(t, dir) {
		msg, err := netmail.ReadMessage(strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
		if err != nil || n != 3 || any8Bit([]byte(content)) || msg.Header.Get("Content-Transfer-Encoding") != "quoted-printable" || string(text) != "une crêpe\n.\n" {
			t.Errorf("%d copies of %q, %v", n, content, err)
		}
	}
}

// What cannot be said in 7 bits comes back.
func TestBeyondConverting(t *testing.T) {
	dial, _ := smtpSink(t, "-8")
	r := &Relay{Hostname: "crepes.fr", Dial: dial, Routes: []Route{{"*", NewHop(SMTP, "127.0.0.1", 25, "", "")}}}
	defer r.Close()
	m := message(t, "bob@hamburger.edu")
	m.Content = mail.Bytes("From: andré@crêpes.fr\r\n\r\nhi\r\n")
	if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Bounced || res.Enh != "5.6.7" {
		t.Error(short(res))
	}
}

// unreadable is content on a disk that failed.
type unreadable struct{ mail.Bytes }

func (unreadable) Open() (io.ReadCloser, error) { return nil, errors.New("disk failed") }

func TestUnreadableContent(t *testing.T) {
	s := newSink(t, nil)
	m := message(t, "bob@hamburger.edu")
	m.Content = unreadable{}
	res := to(t, "smtp://"+s.addr).Deliver(t.Context(), m, nil)[0]
	if res.Outcome != mail.Deferred || res.Enh != "4.3.0" || res.Err == nil || strings.Contains(res.Text, "disk") {
		t.Errorf("got %s, %v", short(res), res.Err)
	}
}

// startling is content that panics.
type startling struct{ mail.Bytes }

func (s startling) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("half a message\r\n"), startling{})), nil
}

func (startling) Read([]byte) (int, error) { panic("boo") }

// A panic gets to whoever asked, also from the second of two next hops; the
// peer gets half a message without an end, and the connection is not used
// again.
func TestContentPanics(t *testing.T) {
	s := newSink(t, nil)
	r := to(t, "smtp://"+s.addr)
	m := message(t, "bob@hamburger.edu", "carol@hamburger.edu")
	m.Content = startling{}
	m.Envelope.Body = mail.Body8Bit // as it is, without a look into it first
	addr := netip.MustParseAddrPort(s.addr)
	m.Envelope.Recipients[1].Route = &mail.NextHop{Host: "localhost", Port: int(addr.Port()), NoMX: true}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		r.Deliver(t.Context(), m, nil)
	}()
	if n := r.pool.waiting(); n != 0 || r.pool.open != 0 {
		t.Errorf("%d connections wait, %d are open", n, r.pool.open)
	}
	if len(s.all()) != 0 {
		t.Errorf("the peer took %+v", s.all())
	}
}

func TestAny8Bit(t *testing.T) {
	for n := range 40 {
		b := []byte(strings.Repeat("a", 40))
		if any8Bit(b) {
			t.Error("7-bit")
		}
		if b[n] = 0x80; !any8Bit(b) {
			t.Errorf("octet %d is not seen", n)
		}
	}
}
