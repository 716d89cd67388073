package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestOneTransactionForAll(t *testing.T) {
	s := newSink(t, nil)
	r := to(t, "smtp://"+s.addr)
	results := r.Deliver(t.Context(), message(t, "a@hamburger.edu", "b@x.example", "c@hamburger.edu"), nil)
	for _, res := range results {
		if res.Outcome != mail.Relayed || res.NextHop != s.addr || !res.Peer || res.Code != 250 || !res.DSN {
			t.Errorf("got %+v", res)
		}
	}
	got := s.all()
	if len(got) != 1 || got[0].from != "alice@crepes.fr" || strings.Join(got[0].to, " ") != "a@hamburger.edu b@x.example c@hamburger.edu" {
		t.Errorf("got %+v", got)
	}
	if got[0].content != "Subject: hi\r\n\r\nhi\r\n" {
		t.Errorf("content %q", got[0].content)
	}
}

func TestNoRecipients(t *testing.T) {
	if got := to(t, "smtp://127.0.0.1:1").Deliver(t.Context(), message(t), nil); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestRecipientsPerTransaction(t *testing.T) {
	tests := []struct {
		name string
		set  func(*sink)
		max  int
		want string // recipients of each transaction
	}{
		{"ours", nil, 2, "2 2 1"},
		{"LIMITS RCPTMAX", func(s *sink) { s.server.MaxRecipients = 3 }, 0, "3 2"},
		{"452 after two", func(s *sink) { s.rcpt = enough(2, 452) }, 0, "2 2 1"},
		{"552 after two", func(s *sink) { s.rcpt = enough(2, 552) }, 0, "2 2 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, tt.set)
			r := to(t, "smtp://"+s.addr)
			r.MaxRecipients = tt.max
			results := r.Deliver(t.Context(), message(t, "a@h.edu", "b@h.edu", "c@h.edu", "d@h.edu", "e@h.edu"), nil)
			for _, res := range results {
				if res.Outcome != mail.Relayed {
					t.Errorf("got %s", short(res))
				}
			}
			var sizes []string
			var all []string
			for _, m := range s.all() {
				sizes = append(sizes, fmt.Sprint(len(m.to)))
				all = append(all, m.to...)
			}
			slices.Sort(all)
			if got := strings.Join(sizes, " "); got != tt.want || s.sessions != 1 || strings.Join(all, " ") != "a@h.edu b@h.edu c@h.edu d@h.edu e@h.edu" {
				t.Errorf("got transactions of %s to %v in %d sessions, want %s", got, all, s.sessions, tt.want)
			}
		})
	}
}

// enough refuses recipients beyond the first n of a transaction.
func enough(n, code int) func(*sinkSession, string) error {
	return func(s *sinkSession, _ string) error {
		if len(s.now.to) < n {
			return nil
		}
		return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 5, 3}, Message: "too many recipients"}
	}
}

// A server that takes so many messages on a connection is connected to again.
func TestMailMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialogue := strings.ReplaceAll(takes, "250 HELP", "250 LIMITS MAILMAX=1 RCPTMAX=1") + bye
		r, w := staticRelay(t, dialogue, strings.ReplaceAll(dialogue, "bob@", "carol@"))
		check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu", "carol@hamburger.edu"), nil),
			"relayed 192.0.2.1:2525: 250 2.0.0 taken", "relayed 192.0.2.1:2525: 250 2.0.0 taken")
		if got := len(strings.Fields(w.dials())); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
		w.done(r)
	})
}

// A server that has enough before the first recipient is not asked again and
// again.
func TestEnoughOfNothing(t *testing.T) {
	s := newSink(t, func(s *sink) { s.rcpt = enough(0, 452) })
	r := to(t, "smtp://"+s.addr)
	check(t, r.Deliver(t.Context(), message(t, "a@h.edu"), nil), "deferred "+s.addr+": 452 4.5.3 too many recipients")
}

func TestReuse(t *testing.T) {
	for max, want := range map[int]int{0: 1, 2: 3, 1: 5} {
		t.Run(fmt.Sprintf("at most %d messages", max), func(t *testing.T) {
			s := newSink(t, nil)
			r := to(t, "smtp://"+s.addr)
			r.MaxMessages = max
			seen := &counter{}
			r.Observer = seen
			for range 5 {
				if res := r.Deliver(t.Context(), message(t, "a@h.edu"), nil)[0]; res.Outcome != mail.Relayed {
					t.Error(short(res))
				}
			}
			if s.sessions != want || len(s.all()) != 5 {
				t.Errorf("%d messages in %d sessions, want %d", len(s.all()), s.sessions, want)
			}
			if seen.fresh != want || seen.reused != 5-want || seen.attempted != 5 {
				t.Errorf("observed %+v", seen)
			}
		})
	}
}

type counter struct {
	mu                       sync.Mutex
	fresh, reused, attempted int
}

func (c *counter) Connected(_ string, reused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reused {
		c.reused++
	} else {
		c.fresh++
	}
}

func (c *counter) Secured(string, string) {}
func (c *counter) Unanswered(string)      {}

func (c *counter) Attempted(string, mail.Outcome, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempted++
}

const static = "192.0.2.1:2525"

func staticRelay(t *testing.T, dialogues ...string) (*Relay, *wire) {
	r, w := wired(t, map[string][]string{static: dialogues}, nil)
	r.Routes = []Route{{"*", NewHop(SMTP, "192.0.2.1", 2525, "", "")}}
	return r, w
}

// again is a second transaction of the same session.
var again = strings.TrimPrefix(takes, hello)

func TestStaleConnection(t *testing.T) {
	tests := []struct {
		name      string
		dialogues []string
		want      string
		dials     int
	}{
		{"closed when MAIL came", []string{takes + mailing[:strings.Index(mailing, "\n")+1] + "--", takes}, "relayed 192.0.2.1:2525: 250 2.0.0 taken", 2},
		{"421 for MAIL", []string{takes + mailing[:strings.Index(mailing, "\n")+1] + "S: 421 4.4.2 too late\n--", takes}, "relayed 192.0.2.1:2525: 250 2.0.0 taken", 2},
		{"twice", []string{takes + mailing[:strings.Index(mailing, "\n")+1] + "--", hello + mailing[:strings.Index(mailing, "\n")+1] + "--"}, "deferred 192.0.2.1:2525: 451 4.4.2 connection to 192.0.2.1:2525 failed in MAIL: connection closed (ours)", 2},
		{"closed after RCPT", []string{takes + mailing + rcptBob + "--", takes}, "deferred 192.0.2.1:2525: 451 4.4.2 connection to 192.0.2.1:2525 failed in RCPT: connection closed (ours)", 1},
		{"closed after the final dot", []string{takes + mailing + rcptBob + "S: 250 ok\n" + content + "--", takes}, "deferred 192.0.2.1:2525: 451 4.4.2 no reply from 192.0.2.1:2525 after the message was sent (connection closed); it may arrive twice (ours)", 1},
		{"4xx for RCPT is no reason for another connection", []string{takes + mailing + rcptBob + "S: 450 4.2.0 later", takes}, "deferred 192.0.2.1:2525: 450 4.2.0 later", 1},
		{"alive", []string{takes + again}, "relayed 192.0.2.1:2525: 250 2.0.0 taken", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := staticRelay(t, tt.dialogues...)
				check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil), "relayed 192.0.2.1:2525: 250 2.0.0 taken")
				check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil), tt.want)
				if got := len(strings.Fields(w.dials())); got != tt.dials {
					t.Errorf("%d connections, want %d", got, tt.dials)
				}
				w.done(r)
			})
		})
	}
}

// Connections do not wait for ever, and are ended with QUIT.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := staticRelay(t, takes+bye)
		r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)
		time.Sleep(DefaultIdle + time.Second)
		synctest.Wait()
		if n := r.pool.waiting(); n != 0 {
			t.Errorf("%d connections wait", n)
		}
		r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)
		if got := len(strings.Fields(w.dials())); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
		w.done(r)
	})
}

// What each way of failing at each step comes to.
func TestDrops(t *testing.T) {
	mailLine := "C: MAIL FROM:<alice@crepes.fr>\n"
	at := static
	tests := []struct {
		name     string
		dialogue string
		want     string
		after    time.Duration
	}{
		{"hangs before the greeting", "", "451 4.4.1 connect to " + at + ": timed out (ours)", 5 * time.Minute},
		{"closes at once", "--", "451 4.4.1 connect to " + at + ": connection closed (ours)", 0},
		{"greets with 4xx", "S: 421 4.3.2 busy\n--", "421 4.3.2 busy", 0},
		{"greets with nonsense", "S: what?", "451 4.4.1 connect to " + at + ": not SMTP (ours)", 0},
		{"hangs after EHLO", "S: 220 x\nC: EHLO crepes.fr", "451 4.4.1 connect to " + at + ": timed out (ours)", 5 * time.Minute},
		{"closes after EHLO", "S: 220 x\nC: EHLO crepes.fr\n--", "451 4.4.1 connect to " + at + ": connection closed (ours)", 0},
		{"refuses EHLO for now", "S: 220 x\nC: EHLO crepes.fr\nS: 450 4.7.1 hm", "450 4.7.1 hm", 0},
		{"hangs after MAIL", hello + mailLine, "451 4.4.2 connection to " + at + " failed in MAIL: timed out (ours)", 5 * time.Minute},
		{"refuses MAIL for now", hello + mailLine + "S: 451 4.7.1 hm\n" + bye, "451 4.7.1 hm", 0},
		{"hangs after RCPT", hello + mailing + rcptBob, "451 4.4.2 connection to " + at + " failed in RCPT: timed out (ours)", 5 * time.Minute},
		{"refuses RCPT for now", hello + mailing + rcptBob + "S: 450 4.2.1 hm", "450 4.2.1 hm", 0},
		{"hangs after DATA", hello + mailing + rcptBob + "S: 250 ok\nC: DATA", "451 4.4.2 connection to " + at + " failed in DATA: timed out (ours)", 2 * time.Minute},
		{"refuses DATA for now", hello + mailing + rcptBob + "S: 250 ok\nC: DATA\nS: 452 4.3.1 hm", "452 4.3.1 hm", 0},
		{"closes in the content", hello + mailing + rcptBob + "S: 250 ok\nC: DATA\nS: 354 go\n--", "451 4.4.2 connection to " + at + " failed in DATA: connection closed (ours)", 0},
		{"hangs after the content", hello + mailing + rcptBob + "S: 250 ok\n" + content, "451 4.4.2 no reply from " + at + " after the message was sent (timed out); it may arrive twice (ours)", 10 * time.Minute},
		{"refuses the content for now", hello + mailing + rcptBob + "S: 250 ok\n" + content + "S: 451 4.6.0 hm", "451 4.6.0 hm", 0},
		{"writes more than a reply", "S: " + strings.Repeat("220-x\nS: ", 40000) + "220 x", "451 4.4.1 connect to " + at + ": not SMTP (ours)", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := staticRelay(t, tt.dialogue)
				start := time.Now()
				check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil), "deferred "+at+": "+tt.want)
				if got := time.Since(start); got != tt.after {
					t.Errorf("took %v, want %v", got, tt.after)
				}
				w.done(r)
			})
		})
	}
	for _, refused := range []string{
		"S: 554 5.3.2 no",
		hello + mailLine + "S: 554 5.3.2 no",
		hello + mailing + rcptBob + "S: 554 5.3.2 no",
		hello + mailing + rcptBob + "S: 250 ok\nC: DATA\nS: 554 5.3.2 no",
		hello + mailing + rcptBob + "S: 250 ok\n" + content + "S: 554 5.3.2 no",
	} {
		synctest.Test(t, func(t *testing.T) {
			r, w := staticRelay(t, refused)
			check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil), "bounced "+at+": 554 5.3.2 no")
			w.done(r)
		})
	}
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := staticRelay(t, hello)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res := r.Deliver(ctx, message(t, "bob@hamburger.edu"), nil)[0]
		if res.Outcome != mail.Deferred || !errors.Is(res.Err, context.DeadlineExceeded) {
			t.Errorf("got %s, %v", short(res), res.Err)
		}
		if res.Unreached {
			t.Error("the next hop counts as down")
		}
		w.done(r)
	})
}

func TestClosed(t *testing.T) {
	r := to(t, "smtp://127.0.0.1:1")
	r.Close()
	check(t, r.Deliver(t.Context(), message(t, "a@h.edu"), nil), "deferred 127.0.0.1:1: 451 4.3.2 interrupted (ours)")
}
