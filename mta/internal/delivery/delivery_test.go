package delivery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory has the places of paths; those that are not in it are elsewhere.
type directory map[string]Place

func (d directory) Place(p mail.Path) (Place, error) {
	if p.Local == "unlucky" {
		return Place{}, errors.New("directory is away")
	}
	return d[p.String()], nil
}

// inbox notes what is delivered.
type inbox struct {
	mu     sync.Mutex
	copies []string
	err    error
	during func()
}

func (b *inbox) Deliver(_ context.Context, account, folder, flags string, rcpt mail.Path, m *mail.Message) error {
	if b.during != nil {
		b.during()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.copies = append(b.copies, fmt.Sprintf("%s|%s|%s|%s", account, folder, flags, rcpt))
	return b.err
}

// hops notes what is relayed.
type hops struct {
	mu     sync.Mutex
	calls  []string
	during func()
}

func (h *hops) Lane(_ *mail.Recipient, hop *mail.NextHop) string {
	if hop == nil {
		return "routes"
	}
	return hop.Host
}

func (h *hops) Deliver(_ context.Context, m *mail.Message, hop *mail.NextHop) []mail.Result {
	if h.during != nil {
		h.during()
	}
	name := "routes"
	if hop != nil {
		name = hop.Host
	}
	var to []string
	var results []mail.Result
	for _, r := range m.Envelope.Recipients {
		to = append(to, r.Path.String())
		results = append(results, mail.Result{Outcome: mail.Relayed, NextHop: name + " for " + r.Path.String()})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, name+": "+strings.Join(to, " "))
	return results
}

var places = directory{
	"bob@hamburger.edu":       {Local: true, Account: "bob@hamburger.edu"},
	"bob+lists@hamburger.edu": {Local: true, Account: "bob@hamburger.edu"},
	"carol@hamburger.edu":     {Local: true, Account: "carol@hamburger.edu"},
	"nobody@hamburger.edu":    {Local: true},
	"dave@lists.edu":          {Local: true, Hop: &mail.NextHop{Host: "lists", LMTP: true}},
	"eve@lists.edu":           {Local: true, Hop: &mail.NextHop{Host: "lists", LMTP: true}},
}

// rcpt reads `path`, `path>host` for a plugin's route, `path#account/folder`
// for a plugin's target, and `!` before any of them for one that a stage refused.
func rcpt(t *testing.T, s string) mail.Recipient {
	t.Helper()
	s, refused := strings.CutPrefix(s, "!")
	path, route, _ := strings.Cut(s, ">")
	path, target, targeted := strings.Cut(path, "#")
	p, err := mail.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	r := mail.Recipient{Path: p}
	if route != "" {
		r.Route = &mail.NextHop{Host: route}
	}
	if targeted {
		account, folder, _ := strings.Cut(target, "/")
		r.Deliver = &mail.Target{Account: account, Folder: folder, Flags: `\Seen`}
	}
	if refused {
		r.Refused = &mail.Refusal{Code: 550, Enh: "5.7.9", Text: "not for you"}
	}
	return r
}

func message(t *testing.T, rcpts ...string) *mail.Message {
	t.Helper()
	m := &mail.Message{Content: mail.Bytes("hi\r\n")}
	for _, s := range rcpts {
		m.Envelope.Recipients = append(m.Envelope.Recipients, rcpt(t, s))
	}
	return m
}

func TestDeliver(t *testing.T) {
	tests := []struct {
		name    string
		rcpts   []string
		copies  []string
		relayed []string
		want    []string
	}{
		{
			name:   "a mailbox",
			rcpts:  []string{"bob@hamburger.edu"},
			copies: []string{"bob@hamburger.edu|||bob@hamburger.edu"},
			want:   []string{"delivered bob@hamburger.edu 2.1.5"},
		},
		{
			name:    "elsewhere",
			rcpts:   []string{"x@example.org", "y@example.net"},
			relayed: []string{"routes: x@example.org y@example.net"},
			want:    []string{"relayed routes for x@example.org ", "relayed routes for y@example.net "},
		},
		{
			name:    "a domain of ours that another host has",
			rcpts:   []string{"dave@lists.edu", "x@example.org", "eve@lists.edu"},
			relayed: []string{"lists: dave@lists.edu eve@lists.edu", "routes: x@example.org"},
			want:    []string{"relayed lists for dave@lists.edu ", "relayed routes for x@example.org ", "relayed lists for eve@lists.edu "},
		},
		{
			name:  "nobody",
			rcpts: []string{"nobody@hamburger.edu"},
			want:  []string{"bounced nobody@hamburger.edu 5.1.1"},
		},
		{
			name:  "a directory that does not answer",
			rcpts: []string{"unlucky@hamburger.edu"},
			want:  []string{"deferred unlucky@hamburger.edu 4.3.0"},
		},
		{
			name:   "two recipients of one mailbox share a copy",
			rcpts:  []string{"bob@hamburger.edu", "carol@hamburger.edu", "bob+lists@hamburger.edu"},
			copies: []string{"bob@hamburger.edu|||bob@hamburger.edu", "carol@hamburger.edu|||carol@hamburger.edu"},
			want:   []string{"delivered bob@hamburger.edu 2.1.5", "delivered carol@hamburger.edu 2.1.5", "delivered bob@hamburger.edu 2.1.5"},
		},
		{
			name:   "a folder that a plugin names",
			rcpts:  []string{"bob@hamburger.edu#/Junk", "bob+lists@hamburger.edu#/inbox", "bob@hamburger.edu"},
			copies: []string{"bob@hamburger.edu|Junk|\\Seen|bob@hamburger.edu", "bob@hamburger.edu||\\Seen|bob+lists@hamburger.edu"},
			want:   []string{"delivered bob@hamburger.edu/Junk 2.1.5", "delivered bob@hamburger.edu 2.1.5", "delivered bob@hamburger.edu 2.1.5"},
		},
		{
			name:   "an account that a plugin names for someone elsewhere",
			rcpts:  []string{"x@example.org#archive@hamburger.edu/2026"},
			copies: []string{"archive@hamburger.edu|2026|\\Seen|x@example.org"},
			want:   []string{"delivered archive@hamburger.edu/2026 2.1.5"},
		},
		{
			name:  "a folder of someone elsewhere",
			rcpts: []string{"x@example.org#/Junk"},
			want:  []string{"bounced x@example.org 5.1.1"},
		},
		{
			name:    "a plugin's route before the mailbox",
			rcpts:   []string{"bob@hamburger.edu>scanner", "carol@hamburger.edu"},
			copies:  []string{"carol@hamburger.edu|||carol@hamburger.edu"},
			relayed: []string{"routes: bob@hamburger.edu"},
			want:    []string{"relayed routes for bob@hamburger.edu ", "delivered carol@hamburger.edu 2.1.5"},
		},
		{
			name:   "a plugin's target before its route",
			rcpts:  []string{"bob@hamburger.edu#/Junk>scanner"},
			copies: []string{"bob@hamburger.edu|Junk|\\Seen|bob@hamburger.edu"},
			want:   []string{"delivered bob@hamburger.edu/Junk 2.1.5"},
		},
		{
			name:   "recipients that a stage refused, whatever else is said of them",
			rcpts:  []string{"!bob@hamburger.edu#/Junk", "carol@hamburger.edu", "!unlucky@hamburger.edu>scanner"},
			copies: []string{"carol@hamburger.edu|||carol@hamburger.edu"},
			want:   []string{"bounced bob@hamburger.edu 5.7.9", "delivered carol@hamburger.edu 2.1.5", "bounced unlucky@hamburger.edu 5.7.9"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			box, out := &inbox{}, &hops{}
			d := &Router{Directory: places, Inbox: box, Relay: out}
			var got []string
			m := message(t, tt.rcpts...)
			var mu sync.Mutex
			told := map[int]mail.Outcome{}
			m.Progress = func(rcpts []int, results []mail.Result) {
				mu.Lock()
				defer mu.Unlock()
				for _, i := range rcpts {
					told[i] = results[i].Outcome
				}
			}
			for i, res := range d.Deliver(t.Context(), m) {
				got = append(got, fmt.Sprintf("%s %s %s", res.Outcome, res.NextHop, res.Enh))
				if at := told[i]; res.Outcome == mail.Delivered && at != mail.Delivered || at != "" && at != res.Outcome {
					t.Errorf("of recipient %d it told %q, and came to %q", i, at, res.Outcome)
				}
			}
			slices.Sort(box.copies)
			slices.Sort(tt.copies)
			slices.Sort(out.calls)
			if !slices.Equal(got, tt.want) || !slices.Equal(box.copies, tt.copies) || !slices.Equal(out.calls, tt.relayed) {
				t.Errorf("got results %q\ncopies %q\nrelayed %q", got, box.copies, out.calls)
			}
		})
	}
}

func TestInboxErrors(t *testing.T) {
	tests := map[string]error{
		"deferred 452 4.3.1": &os.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC},
		"deferred 452 4.2.2": fmt.Errorf("write: %w", syscall.EDQUOT),
		"deferred 451 4.2.0": errors.New("locked"),
		"deferred 450 4.2.1": &smtp.Reply{Code: 450, Enh: smtp.Enh{4, 2, 1}, Text: "not now"},
		"bounced 550 5.1.1":  fmt.Errorf("deliver: %w", &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 1, 1}, Text: "no such account"}),
	}
	for want, err := range tests {
		d := &Router{Directory: places, Inbox: &inbox{err: err}, Relay: &hops{}}
		res := d.Deliver(t.Context(), message(t, "bob@hamburger.edu"))[0]
		if got := fmt.Sprintf("%s %d %s", res.Outcome, res.Code, res.Enh); got != want || strings.Contains(res.Text, "secret") || res.Err == nil || res.Peer {
			t.Errorf("%v: got %+v, want %s", err, res, want)
		}
	}
}

// Mailboxes and next hops do not wait for each other, and there are never too
// many at a time.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		count := func() {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
		}
		who := directory{}
		var rcpts []string
		for i := range 10 {
			p := fmt.Sprintf("u%d@hamburger.edu", i)
			who[p] = Place{Local: true, Account: p}
			rcpts = append(rcpts, p)
		}
		rcpts = append(rcpts, "x@example.org")
		d := &Router{Directory: who, Inbox: &inbox{during: count}, Relay: &hops{during: func() { time.Sleep(5 * time.Second) }}, Parallel: 3}
		start := time.Now()
		d.Deliver(t.Context(), message(t, rcpts...))
		if got := time.Since(start); got != 5*time.Second || most != 3 {
			t.Errorf("took %v, %d at once; want 5s, 3", got, most)
		}
	})
}

type observed struct{ got []mail.Outcome }

func (o *observed) Stored(outcome mail.Outcome, _ time.Duration) { o.got = append(o.got, outcome) }

func TestObserver(t *testing.T) {
	seen := &observed{}
	d := &Router{Directory: places, Inbox: &inbox{}, Relay: &hops{}, Observer: seen}
	d.Deliver(t.Context(), message(t, "bob@hamburger.edu"))
	if !slices.Equal(seen.got, []mail.Outcome{mail.Delivered}) {
		t.Errorf("observed %v", seen.got)
	}
}

// A lane is the next hop that Deliver would call, and nothing else.
func TestLane(t *testing.T) {
	d := &Router{Directory: places, Inbox: &inbox{}, Relay: &hops{}}
	for _, tt := range []struct{ name, rcpt, want string }{
		{"a mailbox", "bob@hamburger.edu", ""},
		{"a domain with a host of its own", "dave@lists.edu", "lists"},
		{"elsewhere", "x@example.org", "routes"},
		{"a route", "bob@hamburger.edu>host", "routes"},
		{"a target", "x@example.org#bob@hamburger.edu/Junk", ""},
		{"refused", "!x@example.org", ""},
		{"nobody", "nobody@hamburger.edu", ""},
		{"a directory that does not answer", "unlucky@hamburger.edu", ""},
	} {
		r := rcpt(t, tt.rcpt)
		if got := d.Lane(&r); got != tt.want {
			t.Errorf("%s: lane %q, want %q", tt.name, got, tt.want)
		}
	}
}
