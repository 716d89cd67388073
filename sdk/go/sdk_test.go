package mta_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
	"github.com/wasmta/wasmta/sdk/host"
)

// run asks f about a message.
func run(t *testing.T, c mtatest.Case, f func(m *mta.Message) mta.Verdict) mtatest.Result {
	t.Helper()
	mta.OnLoad(func() error { return nil })
	mta.OnMessage(f)
	return mtatest.Run(t, c)
}

// look is run for an f without an opinion.
func look(t *testing.T, c mtatest.Case, f func(m *mta.Message)) mtatest.Result {
	t.Helper()
	return run(t, c, func(m *mta.Message) mta.Verdict {
		f(m)
		return mta.Continue
	})
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func message(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

func TestContext(t *testing.T) {
	c := mtatest.Case{Context: host.Context{Auth: &host.Auth{Login: "alice"}, TLS: &host.TLS{Version: "TLSv1.3"}}}
	r := look(t, c, func(m *mta.Message) {
		equal(t, "queue ID", m.QueueID(), "01K5TEST00000001")
		equal(t, "hostname", m.Hostname(), "mx.hamburger.edu")
		equal(t, "listener", m.Listener(), "smtp")
		equal(t, "client", m.ClientAddr().String(), "192.0.2.1")
		equal(t, "client's name", m.ClientName(), "mail.crepes.fr")
		equal(t, "helo", m.Helo(), "crepes.fr")
		equal(t, "account", m.Account(), "alice")
		equal(t, "TLS", m.TLS(), "TLSv1.3")
		equal(t, "time", mta.Now(), mtatest.Defaults.Now)
		_, known := m.Context("/no/such/key")
		equal(t, "unknown key", known, false)
		_, known = m.Note("key")
		equal(t, "note before", known, false)
		ok(t, m.SetNote("key", "value"))
		note, _ := m.Note("key")
		equal(t, "note", note, "value")
		if err := m.SetNote("", "x"); !errors.Is(err, mta.ErrBadArgument) || err.Error() != "set note : bad argument" {
			t.Errorf("note without a key: %v", err)
		}
	})
	equal(t, "note afterwards", r.Notes["key"], "value")
}

func TestEnvelope(t *testing.T) {
	r := look(t, mtatest.Case{To: []string{"a@x", "b@x", "c@x"}}, func(m *mta.Message) {
		equal(t, "sender", m.Sender(), "alice@crepes.fr")
		rcpts := m.Recipients()
		equal(t, "recipients", len(rcpts), 3)
		ok(t, m.SetSender(""))
		ok(t, m.Deliver(mta.Mailbox{Folder: "All"}))
		ok(t, rcpts[0].Set("d@x"))
		ok(t, rcpts[0].Route(mta.NextHop{Host: "mx.x", Port: 2525, RequireTLS: true, NoMX: true}))
		ok(t, rcpts[1].Remove())
		equal(t, "removed recipient", rcpts[1].Address(), "")
		if err := rcpts[1].Remove(); !errors.Is(err, mta.ErrNotFound) {
			t.Errorf("remove again: %v", err)
		}
		ok(t, rcpts[2].Refuse(550, "5.1.1", "x"))
		e, err := m.AddRecipient("e@x")
		ok(t, err)
		equal(t, "added", e.Address(), "e@x")
		if _, err := m.AddRecipient("no good"); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("add what is no address: %v", err)
		}
		equal(t, "original", rcpts[0].Original(), "a@x")
	})
	want := "verdict: continue\nfrom: <>\nto: d@x was=a@x relay host=mx.x:2525 tls no-mx\n" +
		"to: c@x deliver folder=All reply 550 5.1.1 x\nto: e@x\n"
	if got := r.Text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    func(m *mta.Message) mta.Verdict
		want string
	}{
		{"reject", func(*mta.Message) mta.Verdict { return mta.Reject(550, "5.7.1", "No") },
			"verdict: reject\nreply: 550 5.7.1 No\n"},
		{"defer", func(*mta.Message) mta.Verdict { return mta.Defer(451, "", "Later\r\n250 ok") },
			"verdict: defer\nreply: 451 Later 250 ok\n"},
		{"disconnect", func(*mta.Message) mta.Verdict { return mta.Disconnect(421, "4.7.0", "Bye") },
			"verdict: disconnect\nreply: 421 4.7.0 Bye\n"},
		{"reply that does not fit", func(*mta.Message) mta.Verdict { return mta.Reject(250, "2.0.0", "Fine") },
			"verdict: reject\nlog: warn: this reply cannot be given, so the server's own is text=Fine enhanced=2.0.0\n"},
		{"code of another class", func(*mta.Message) mta.Verdict { return mta.Reject(550, "4.7.1", "No") },
			"verdict: reject\nlog: warn: this reply cannot be given, so the server's own is text=No enhanced=4.7.1\n"},
		{"quarantine", func(*mta.Message) mta.Verdict { return mta.Quarantine("spam") },
			"verdict: quarantine\nreason: spam\n"},
		{"quarantine without a reason", func(*mta.Message) mta.Verdict { return mta.Quarantine("") },
			"verdict: quarantine\nreason: held by a plugin\n"},
		{"discard", func(*mta.Message) mta.Verdict { return mta.Discard }, "verdict: discard\n"},
		{"failure", func(m *mta.Message) mta.Verdict {
			ok(t, m.SetSender("x@y"))
			return mta.Fail(errors.New("broken"))
		}, "verdict: failed\nlog: error: broken\n"},
		{"log", func(*mta.Message) mta.Verdict {
			mta.Info("hello", "a", "b c", "d", "", "e", "f", "g")
			mta.Debug("not kept")
			return mta.Accept
		}, `verdict: accept` + "\n" + `log: info: hello a="b c" d="" e=f g` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, mtatest.Case{}, tt.f)
			got := strings.Replace(r.Text(), "from: alice@crepes.fr\nto: bob@hamburger.edu\n", "", 1)
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	c := mtatest.Case{Message: message("Received: a", "X-A: one", "Subject: =?utf-8?q?Cr=C3=AApe?=", "x-a: two",
		"X-B: folded", " here", "", "body")}
	r := look(t, c, func(m *mta.Message) {
		h := m.Header()
		equal(t, "fields", h.Len(), 5)
		equal(t, "decoded", h.Get("subject"), "Crêpe")
		equal(t, "missing", h.Get("X-None"), "")
		equal(t, "has", h.Has("X-None"), false)
		if got := h.Values("X-A"); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("values: %q", got)
		}
		f, _ := h.First("X-B")
		equal(t, "raw", f.Raw(), " folded\r\n here")
		equal(t, "unfolded", f.Unfolded(), "folded here")
		var names []string
		for f := range h.Fields() {
			names = append(names, f.Name())
			if f.Name() == "X-A" || f.Name() == "Subject" {
				ok(t, f.Remove())
			}
		}
		if want := []string{"Received", "X-A", "Subject", "x-a", "X-B"}; !slices.Equal(names, want) {
			t.Errorf("names: %q", names)
		}
		ok(t, h.Add("X-C", "bottom"))
		ok(t, h.AddTop("X-D", "top"))
		ok(t, h.AddRaw("X-E: raw\r\n folded"))
		ok(t, h.AddRawTop("X-F: raw"))
		ok(t, h.Set("X-A", "set"))
		ok(t, h.Set("X-G", "new"))
		n, err := h.Remove("X-B")
		ok(t, err)
		equal(t, "removed", n, 1)
		n, err = h.Remove("X-None")
		ok(t, err)
		equal(t, "removed nothing", n, 0)
		if err := h.Add("X-H", "a\r\nX-Evil: b"); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("line break: %v", err)
		}
	})
	want := message("X-F: raw", "X-D: top", "Received: a", "x-a: set", "X-C: bottom", "X-E: raw", " folded", "X-G: new", "", "body")
	if string(r.Message) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", r.Message, want)
	}
}

func TestSetRemovesTheOthers(t *testing.T) {
	c := mtatest.Case{Message: message("X-A: 1", "X-B: 2", "X-A: 3", "X-A: 4", "", "body")}
	r := look(t, c, func(m *mta.Message) { ok(t, m.Header().Set("x-a", "5")) })
	equal(t, "message", string(r.Message), string(message("X-A: 5", "X-B: 2", "", "body")))
}

var multipart = message("Subject: x", "Content-Type: multipart/mixed; boundary=m", "", "--m",
	"Content-Type: text/plain; charset=iso-8859-1; format=flowed", "Content-Transfer-Encoding: quoted-printable", "", "Gr=FC=DFe", "--m",
	"Content-Type: multipart/alternative; boundary=a", "", "--a", "Content-Type: text/html", "", "<p>x", "--a--", "--m",
	"Content-Type: application/pdf; name=a.pdf", "Content-ID: <1@x>", "Content-Disposition: attachment",
	"Content-Transfer-Encoding: base64", "", "JVBERg==", "--m--")

func TestPartsAreRead(t *testing.T) {
	r := look(t, mtatest.Case{Message: multipart}, func(m *mta.Message) {
		var types []string
		for p := range m.Parts() {
			types = append(types, p.Path()+" "+p.Type())
		}
		want := []string{" multipart/mixed", "1 text/plain", "2 multipart/alternative", "2.1 text/html", "3 application/pdf"}
		if !slices.Equal(types, want) {
			t.Errorf("parts: %q", types)
		}
		text, found := m.Find("text/*")
		equal(t, "found", found, true)
		equal(t, "charset", text.Charset(), "iso-8859-1")
		equal(t, "encoding", text.Encoding(), "quoted-printable")
		s, err := text.Text()
		ok(t, err)
		equal(t, "text", s, "Grüße")
		octets, err := text.Octets()
		ok(t, err)
		equal(t, "octets", string(octets), "Gr\xfc\xdfe")
		equal(t, "size", text.Size(), 5)
		_, found = m.Find("video/*")
		equal(t, "found a video", found, false)
		pdf, _ := m.Find("application/pdf")
		equal(t, "filename", pdf.Filename(), "a.pdf")
		equal(t, "Content-ID", pdf.ContentID(), "1@x")
		equal(t, "disposition", pdf.Disposition(), "attachment")
		equal(t, "attachment", pdf.Flags().Attachment(), true)
		equal(t, "multipart", m.Root().Flags().Multipart(), true)
		b, err := io.ReadAll(pdf.Open())
		ok(t, err)
		equal(t, "decoded", string(b), "%PDF")
		b, err = io.ReadAll(pdf.OpenBody())
		ok(t, err)
		equal(t, "body", string(b), "JVBERg==")
		parent, _ := pdf.Parent()
		equal(t, "parent", parent, m.Root())
		_, found = m.Root().Parent()
		equal(t, "parent of the root", found, false)
		b, err = io.ReadAll(m.Open())
		ok(t, err)
		equal(t, "message", string(b), string(multipart))
		equal(t, "size of the message", m.Size(), int64(len(multipart)))
		if _, err := m.Root().Octets(); err != nil {
			t.Logf("octets of a multipart: %v", err)
		}
	})
	equal(t, "message afterwards", string(r.Message), string(multipart))
}

func TestPartsAreChanged(t *testing.T) {
	r := look(t, mtatest.Case{Message: multipart}, func(m *mta.Message) {
		text, _ := m.Find("text/plain")
		ok(t, text.ReplaceText("Grüße!\r\n"))
		equal(t, "type", text.Header().Get("Content-Type"), "text/plain; charset=utf-8; format=flowed")
		s, err := text.Text()
		ok(t, err)
		equal(t, "text", s, "Grüße!\r\n")
		equal(t, "modified", text.Flags().Modified(), true)
		html, _ := m.Find("text/html")
		ok(t, html.Replace("", []byte("<p>"), []byte("y</p>")))
		pdf, _ := m.Find("application/pdf")
		ok(t, pdf.Remove())
		note, err := m.Root().Insert(-1, "text/plain; charset=utf-8", "ä.txt", []byte("note"))
		ok(t, err)
		equal(t, "filename", note.Filename(), "ä.txt")
		if err := m.Root().Remove(); err == nil {
			t.Error("the root was removed")
		}
	})
	var types []string
	look(t, mtatest.Case{Message: r.Message}, func(m *mta.Message) {
		for p := range m.Parts() {
			types = append(types, p.Type())
		}
		html, _ := m.Find("text/html")
		s, err := html.Text()
		ok(t, err)
		equal(t, "HTML", s, "<p>y</p>")
	})
	if want := []string{"multipart/mixed", "text/plain", "multipart/alternative", "text/html", "text/plain"}; !slices.Equal(types, want) {
		t.Errorf("parts afterwards: %q in\n%s", types, r.Message)
	}
}

func TestWrapAndReplaceMessage(t *testing.T) {
	r := look(t, mtatest.Case{}, func(m *mta.Message) {
		mixed, err := m.Root().Wrap("multipart/mixed")
		ok(t, err)
		_, err = mixed.Insert(-1, "text/plain", "", []byte("below\r\n"))
		ok(t, err)
	})
	if s := string(r.Message); !strings.Contains(s, "multipart/mixed") || !strings.Contains(s, "\r\nHello Bob\r\n") || !strings.Contains(s, "below") {
		t.Errorf("wrapped:\n%s", s)
	}
	r = look(t, mtatest.Case{}, func(m *mta.Message) {
		ok(t, m.Replace([]byte("Subject: new\r\n\r\nnew\r\n")))
		equal(t, "subject", m.Header().Get("Subject"), "new")
		if err := m.Replace([]byte("bare\nline feed")); !errors.Is(err, mta.ErrBadArgument) {
			t.Errorf("bare line feed: %v", err)
		}
	})
	equal(t, "replaced", string(r.Message), "Subject: new\r\n\r\nnew\r\n")
}

func TestLoad(t *testing.T) {
	load := func(c mtatest.Case, f func() error) mtatest.Result {
		t.Helper()
		mta.OnLoad(f)
		mta.OnMessage(func(*mta.Message) mta.Verdict { return mta.NotAgain })
		return mtatest.Run(t, c)
	}
	r := load(mtatest.Case{Config: "folder: [x]\nlimit: 5"}, func() error {
		var c struct {
			Folder string   `json:"folder"`
			Limit  mta.Size `json:"limit"`
		}
		return mta.Config(&c)
	})
	equal(t, "refused", r.LoadError, "folder: got a list, want text; limit: 5 has no unit; write 5B, or as in 10MiB")
	r = load(mtatest.Case{}, func() error { return nil })
	equal(t, "loaded", r.LoadError, "")
	equal(t, "verdict", r.Verdict, "not again")
	r = load(mtatest.Case{}, func() error { return errors.New(strings.Repeat("x", 600) + "\n") })
	equal(t, "long error", len(r.LoadError), 280)
	mta.OnLoad(func() error { return nil })
}
