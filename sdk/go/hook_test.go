package mta_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
	"github.com/wasmta/wasmta/sdk/go/onauth"
	"github.com/wasmta/wasmta/sdk/go/onconnect"
	"github.com/wasmta/wasmta/sdk/go/ondata"
	"github.com/wasmta/wasmta/sdk/go/ondelivery"
	"github.com/wasmta/wasmta/sdk/go/ondisconnect"
	"github.com/wasmta/wasmta/sdk/go/ondsn"
	"github.com/wasmta/wasmta/sdk/go/onheaders"
	"github.com/wasmta/wasmta/sdk/go/onhelo"
	"github.com/wasmta/wasmta/sdk/go/onlocal"
	"github.com/wasmta/wasmta/sdk/go/onmail"
	"github.com/wasmta/wasmta/sdk/go/onrcpt"
	"github.com/wasmta/wasmta/sdk/go/onroute"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// text runs a case of any hook, and is what came of it.
func text(t *testing.T, c mtatest.Case) string {
	t.Helper()
	mta.OnLoad(func() error { return nil })
	r := mtatest.Run(t, c)
	s := strings.ReplaceAll(r.Text(), "from: alice@crepes.fr\n", "")
	return strings.ReplaceAll(s, "to: bob@hamburger.edu\n", "")
}

func TestSessionHooks(t *testing.T) {
	session := func(s *mta.Session) mta.Verdict {
		if _, known := s.SessionNote("asked"); known {
			return mta.Disconnect(421, "4.7.0", "Twice")
		}
		ok(t, s.SetSessionNote("asked", s.ClientAddr().String()))
		return mta.Continue
	}
	onconnect.Do(session)
	onhelo.Do(session)
	onauth.Do(session)
	onmail.Do(func(tx *mta.Transaction) mta.Verdict {
		ok(t, tx.SetNote("sender", tx.Sender()))
		ok(t, tx.SetQueuedNote("mark", "1"))
		equal(t, "recipients", len(tx.Recipients()), 0)
		return mta.Reject(550, "5.7.1", "Not you, "+tx.Helo())
	})
	ondata.Do(func(tx *mta.Transaction) mta.Verdict {
		_, err := tx.AddRecipient("archive@hamburger.edu")
		ok(t, err)
		return mta.Continue
	})
	ondisconnect.Do(func(s *mta.Session) { mta.Count("sessions", 1) })
	for _, tt := range []struct {
		hook string
		c    mtatest.Case
		want string
	}{
		{abi.HookConnect, mtatest.Case{}, "verdict: continue\nsession-note: asked=192.0.2.1\n"},
		{abi.HookHelo, mtatest.Case{SessionNotes: map[string]string{"asked": ""}}, "verdict: disconnect\nreply: 421 4.7.0 Twice\n"},
		{abi.HookAuth, mtatest.Case{}, "verdict: continue\nsession-note: asked=192.0.2.1\n"},
		{abi.HookMail, mtatest.Case{To: []string{}},
			"verdict: reject\nreply: 550 5.7.1 Not you, crepes.fr\nnote: sender=alice@crepes.fr\nqueued-note: mark=1\n"},
		{abi.HookData, mtatest.Case{}, "verdict: continue\nto: archive@hamburger.edu\n"},
		{abi.HookDisconnect, mtatest.Case{}, "verdict: continue\ncounter: sessions=1\n"},
	} {
		tt.c.Hook = tt.hook
		if got := text(t, tt.c); got != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.hook, got, tt.want)
		}
	}
}

func TestOnRcpt(t *testing.T) {
	onrcpt.Do(func(tx *mta.Transaction, r mta.Recipient) mta.Verdict {
		equal(t, "asked", r.Address(), "carol@hamburger.edu")
		if err := tx.Recipients()[0].Refuse(550, "", "x"); !errors.Is(err, mta.ErrWrongStage) {
			t.Errorf("refuse one that was taken: %v", err)
		}
		if _, err := tx.AddRecipient("x@y"); !errors.Is(err, mta.ErrWrongStage) {
			t.Errorf("add: %v", err)
		}
		ok(t, r.Deliver(mta.Mailbox{Folder: "Lists"}))
		ok(t, r.Set("caroline@hamburger.edu"))
		n, err := mta.KV.Add("rcpt", 1, time.Minute)
		ok(t, err)
		if n == 8 {
			return mta.Defer(450, "4.7.1", "Too many")
		}
		return mta.Continue
	})
	got := text(t, mtatest.Case{
		Hook: abi.HookRcpt, To: []string{"bob@hamburger.edu", "carol@hamburger.edu"}, KV: map[string]string{"rcpt": "7"},
	})
	want := "verdict: defer\nreply: 450 4.7.1 Too many\n" +
		"to: caroline@hamburger.edu was=carol@hamburger.edu deliver folder=Lists\nkv: rcpt=8\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestOnHeaders(t *testing.T) {
	onheaders.Do(func(m *mta.Message) mta.Verdict {
		equal(t, "subject", m.Header().Get("Subject"), "Hello")
		ok(t, m.Header().Add("X-Seen", "early"))
		equal(t, "size", m.Size(), 0) // the content is not to be had yet
		if err := m.Replace([]byte("x\r\n")); !errors.Is(err, mta.ErrWrongStage) {
			t.Errorf("replace: %v", err)
		}
		return mta.NotAgain
	})
	r := mtatest.Run(t, mtatest.Case{Hook: abi.HookHeaders})
	if !strings.Contains(string(r.Message), "\r\nX-Seen: early\r\n\r\nHello Bob") || r.Verdict != "not again" {
		t.Errorf("got %s, %q", r.Verdict, r.Message)
	}
}

func TestHooksBehindTheQueue(t *testing.T) {
	at := mtatest.Defaults.Now.Add(time.Hour)
	onroute.Do(func(m *mta.Message) mta.Verdict {
		equal(t, "attempts", m.Attempts(), 3)
		equal(t, "received", m.Received(), at)
		note, _ := m.QueuedNote("class")
		if note == "bulk" {
			ok(t, m.RetryAt(at))
		}
		ok(t, m.Recipients()[0].Route(mta.NextHop{Host: "mx.example.net"}))
		return mta.Continue
	})
	onlocal.Do(func(m *mta.Message) mta.Verdict {
		r := m.Recipients()[0]
		ok(t, r.Deliver(mta.Mailbox{Folder: r.Resolved()}))
		if err := m.Header().Add("X-A", "b"); !errors.Is(err, mta.ErrWrongStage) {
			t.Errorf("edit a message that is queued: %v", err)
		}
		return mta.Continue
	})
	ondelivery.Do(func(m *mta.Message) mta.Verdict {
		r := m.Recipients()[0]
		ok(t, m.SetQueuedNote("last", r.Status()+" "+r.LastReply()+" "+r.ORCPT()))
		ok(t, r.Refuse(550, "5.4.1", "Gave up"))
		return mta.Continue
	})
	ondsn.Do(func(m *mta.Message) mta.Verdict {
		ok(t, m.Header().AddTop("X-Notification", "yes"))
		return mta.Discard
	})
	c := mtatest.Case{
		To: []string{"bob@hamburger.edu"}, QueuedNotes: map[string]string{"class": "bulk"},
		Context: host.Context{Queue: host.Queue{Attempts: 3, Received: at}},
		Known: map[string]host.Recipient{"bob@hamburger.edu": {
			Resolved: "bob", Status: "deferred", LastReply: "450 4.2.0 Busy", ORCPT: "rfc822;b@x",
		}},
	}
	for hook, want := range map[string]string{
		abi.HookRoute: "verdict: continue\nto: bob@hamburger.edu relay host=mx.example.net retry 2026-11-24T11:00:00Z\n",
		abi.HookLocal: "verdict: continue\nto: bob@hamburger.edu deliver folder=bob\n",
		abi.HookDelivery: "verdict: continue\nto: bob@hamburger.edu reply 550 5.4.1 Gave up\n" +
			"queued-note: class=bulk\nqueued-note: last=deferred 450 4.2.0 Busy rfc822;b@x\n",
		abi.HookDSN: "verdict: discard\n",
	} {
		c.Hook = hook
		if got := text(t, c); got != want {
			t.Errorf("%s: got\n%swant\n%s", hook, got, want)
		}
	}
}

func TestVariant(t *testing.T) {
	c := mtatest.Case{To: []string{"a@x", "b@x", "c@x"}, Message: message("Subject: s", "", "body")}
	r := look(t, c, func(m *mta.Message) {
		rcpts := m.Recipients()
		ok(t, m.Header().Add("X-All", "1"))
		broken := errors.New("broken")
		err := m.Variant(rcpts[1:2], func(m *mta.Message) error {
			ok(t, m.Header().Set("Subject", "for b"))
			ok(t, m.Variant(rcpts[2:], func(m *mta.Message) error {
				return m.Root().ReplaceText("for c\r\n")
			}))
			ok(t, m.Header().Add("X-B", "2"))
			return broken
		})
		equal(t, "error", err, broken)
		ok(t, m.Header().Add("X-A", "3"))
		if err := m.Variant(rcpts[1:2], func(*mta.Message) error { return nil }); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("a recipient in two variants: %v", err)
		}
	})
	if got, want := r.Text(), "verdict: continue\nfrom: alice@crepes.fr\nto: a@x\nvariant-1: b@x\nvariant-2: c@x\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for i, want := range []string{
		"Subject: s\r\nX-All: 1\r\nX-A: 3\r\n\r\nbody\r\n",
		"Subject: for b\r\nX-All: 1\r\nX-B: 2\r\n\r\nbody\r\n",
		"Subject: for b\r\nX-All: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfor c\r\n",
	} {
		got := r.Message
		if i > 0 {
			got = r.Variants[i-1].Message
		}
		if string(got) != want {
			t.Errorf("message %d: got %q, want %q", i, got, want)
		}
	}
}

func TestSend(t *testing.T) {
	r := look(t, mtatest.Case{}, func(m *mta.Message) {
		ok(t, m.Send("", []string{m.Sender(), "postmaster@hamburger.edu"}, []byte("Subject: Away\n\n"), []byte("Back soon")))
		if err := m.Send("", nil, []byte("x")); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("to nobody: %v", err)
		}
	})
	if len(r.Sends) != 1 || string(r.Sends[0].Octets) != "Subject: Away\r\n\r\nBack soon\r\n" {
		t.Fatalf("got %+v", r.Sends)
	}
	if want := "send-1: from <> to alice@crepes.fr postmaster@hamburger.edu\n"; !strings.Contains(r.Text(), want) {
		t.Errorf("got\n%s", r.Text())
	}
	look(t, mtatest.Case{From: "<>"}, func(m *mta.Message) {
		if err := m.Send("", []string{"a@b"}, []byte("Subject: x\n\n")); !errors.Is(err, mta.ErrLoop) {
			t.Errorf("because of a bounce: %v", err)
		}
	})
}

func TestKV(t *testing.T) {
	c := mtatest.Case{KV: map[string]string{"a": "1", "text": "x", "gone": "y"}}
	r := look(t, c, func(m *mta.Message) {
		value, known, err := mta.KV.Get("a")
		ok(t, err)
		equal(t, "value", string(value), "1")
		equal(t, "known", known, true)
		_, known, err = mta.KV.Get("b")
		ok(t, err)
		equal(t, "known", known, false)
		ok(t, mta.KV.Set("b", []byte("2"), time.Hour))
		ok(t, mta.KV.Delete("gone"))
		n, err := mta.KV.Add("a", 4, 0)
		ok(t, err)
		equal(t, "sum", n, 5)
		if _, err = mta.KV.Add("text", 1, 0); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("add to a text: %v", err)
		}
		for _, tt := range []struct {
			old, next string
			want      bool
		}{{"", "z", false}, {"1", "z", false}, {"5", "z", true}, {"z", "", true}, {"", "6", true}} {
			swapped, err := mta.KV.Swap("a", []byte(tt.old), []byte(tt.next), 0)
			ok(t, err)
			equal(t, tt.old+" to "+tt.next, swapped, tt.want)
		}
	})
	if want := map[string]string{"a": "6", "b": "2", "text": "x"}; !equalMaps(r.KV, want) {
		t.Errorf("got %v, want %v", r.KV, want)
	}
}

func equalMaps(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestServices(t *testing.T) {
	dns := testcase.DNS{}
	dns.Add("Example.org.", mta.TypeMX, "10 a.example.org.")
	dns.Add("example.org", mta.TypeMX, "20 b.example.org.")
	dns.Add("slow.example.org", mta.TypeA, testcase.NoAnswer)
	r := look(t, mtatest.Case{DNS: dns}, func(m *mta.Message) {
		got, err := mta.Lookup(mta.TypeMX, "example.org")
		ok(t, err)
		equal(t, "records", strings.Join(got, "|"), "10 a.example.org.|20 b.example.org.")
		if _, err = mta.Lookup(mta.TypeA, "example.org"); !errors.Is(err, mta.ErrNotFound) {
			t.Errorf("no record: %v", err)
		}
		if _, err = mta.Lookup(mta.TypeA, "slow.example.org"); !errors.Is(err, mta.ErrTimeout) {
			t.Errorf("no answer: %v", err)
		}
		mta.Count("seen", 2)
		mta.Count("seen", 1)
		mta.Observe("score", 0.5)
		major, minor := mta.Version()
		equal(t, "version", major*10+minor, 10)
		equal(t, "logs", mta.Enabled(mta.LevelError), true)
		equal(t, "context", strings.HasPrefix(string(m.ContextJSON()), `{"stage":"message","client":{"ip":"192.0.2.1"`), true)
		equal(t, "has", mta.Has("org.wasmta.address.normalize"), true)
		address, err := mta.Call("org.wasmta.address.normalize", []byte("alice@crepes.fr"))
		ok(t, err)
		equal(t, "address", string(address), "alice@crepes.fr")
		if _, err = mta.Call("org.example.none", nil); !errors.Is(err, mta.ErrUnsupported) {
			t.Errorf("unknown operation: %v", err)
		}
	})
	if want := []string{"counter: seen=3", "observed: score=0.5"}; !slices.Equal(r.Metrics, want) {
		t.Errorf("got %q, want %q", r.Metrics, want)
	}
}
