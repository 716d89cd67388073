// Tour calls every function of the ABI through the Go SDK.
package main

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
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
)

var config struct {
	Greeting string               `json:"greeting"`
	List     mta.Value            `json:"list"`
	N        int                  `json:"n"`
	Nothing  *mta.Ordered[string] `json:"nothing"`
	Replace  bool                 `json:"replace"`
}

func init() {
	mta.OnLoad(func() error { return mta.Config(&config) })
	mta.OnMessage(message)
	onrcpt.Do(func(*mta.Transaction, mta.Recipient) mta.Verdict { return mta.Reject(550, "5.1.1", "No tour") })
	onmail.Do(func(*mta.Transaction) mta.Verdict { return mta.Defer(450, "4.2.0", "Later") })
	onhelo.Do(func(*mta.Session) mta.Verdict { return mta.Disconnect(421, "4.3.2", "Closed") })
	onconnect.Do(func(*mta.Session) mta.Verdict { return mta.Continue })
	onauth.Do(func(*mta.Session) mta.Verdict { return mta.Continue })
	ondata.Do(func(*mta.Transaction) mta.Verdict { return mta.Continue })
	ondisconnect.Do(func(*mta.Session) {})
	onheaders.Do(nothing)
	onroute.Do(nothing)
	onlocal.Do(nothing)
	ondelivery.Do(nothing)
	ondsn.Do(nothing)
}

func nothing(*mta.Message) mta.Verdict { return mta.Continue }

func message(m *mta.Message) mta.Verdict {
	if config.Replace {
		if err := m.Replace([]byte("Subject: new\r\n\r\nnew\r\n")); err != nil {
			return mta.Fail(err)
		}
		return mta.Continue
	}
	lines.Reset()
	core(m)
	envelope(m)
	header(m)
	tree(m)
	actions(m)
	services()
	if err := m.SetNote("tour", lines.String()); err != nil {
		return mta.Fail(err)
	}
	return mta.Continue
}

var lines strings.Builder

func text(name, s string, ok bool) {
	if !ok {
		s = "error"
	}
	lines.WriteString(name + " " + s + "\n")
}

func number[T int | int32 | int64](name string, n T) {
	text(name, strconv.FormatInt(int64(n), 10), true)
}

func yes(name string, is bool) {
	n := 0
	if is {
		n = 1
	}
	number(name, n)
}

// done is a call without a result: 0, or an error.
func done(name string, err error) { text(name, "0", err == nil) }

func core(m *mta.Message) {
	major, _ := mta.Version()
	number("version", major)
	has := 0
	if mta.Has("hdr_find") {
		has += 10
	}
	if mta.Has("nope") {
		has++
	}
	number("has", has)
	_, err := mta.Call("org.example.none", []byte("x"))
	text("call", "", err == nil)
	text("config", config.Greeting, true)
	list, _ := config.List.List()
	number("items", len(list))
	last, ok := list[len(list)-1].Text()
	text("last", last, ok)
	number("n", -config.N)
	yes("null", config.Nothing == nil)
	mta.Info("on tour")
	yes("log", mta.Enabled(mta.LevelError))
	helo, ok := m.Context("/client/ehlo")
	text("context", helo, ok)
	_, ok = m.Context("/nope")
	text("missing", "", ok)
	text("json", "message", bytes.Contains(m.ContextJSON(), []byte(`"stage":"message"`)))
	if err := m.SetNote("k", "v"); err != nil {
		mta.Error(err.Error())
	}
	note, ok := m.Note("k")
	text("note", note, ok)
	yes("clock", mta.Left() > 0 && mta.Now().Year() > 1970)
	yes("random", mta.Random(make([]byte, 8)) == nil)
}

func envelope(m *mta.Message) {
	err := m.SetSender("carol@crepes.fr")
	text("sender", m.Sender(), err == nil)
	number("recipients", len(m.Recipients()))
	added, err := m.AddRecipient("dave@hamburger.edu")
	if err == nil {
		err = added.Set("erin@hamburger.edu")
	}
	text("added", added.Address(), err == nil)
	done("remove", added.Remove())
	text("first", m.Recipients()[0].Address(), true)
	last, _ := m.LastRecipient()
	done("refuse", last.Refuse(550, "5.7.1", "No"))
}

func header(m *mta.Message) {
	h := m.Header()
	number("fields", h.Len())
	subject, ok := h.First("subject")
	text("name", subject.Name(), ok)
	text("decoded", subject.Value(), ok)
	text("unfolded", subject.Unfolded(), ok)
	number("block", len(h.Block()))
	h.AddTop("X-Top", "top") // what fails is missing in the message
	h.AddRaw("X-Raw: raw")
	h.Set("X-Set", "set")
	if gone, ok := h.First("X-Gone"); ok {
		gone.Remove()
	}
	n, err := h.Remove("X-Old")
	text("removed", strconv.Itoa(n), err == nil)
	_, ok = h.First("X-Old")
	text("none", "", ok)
}

func tree(m *mta.Message) {
	one, _ := m.Root().First()
	two, _ := one.Next()
	up, _ := two.Parent()
	text("parent", "0", up.IsRoot())
	found, _ := m.Find("text/*")
	yes("found", found == one)
	text("type", two.Type(), true)
	text("filename", two.Filename(), true)
	number("flags", int32(two.Flags()))
	number("size", int(two.Size()))
	content, err := two.Text()
	text("text", content, err == nil)
	done("replace", one.Replace("text/plain; charset=utf-8", []byte("Bonjour\r\n")))
	_, err = m.Root().Insert(-1, "text/plain", "b.txt", []byte("B"))
	yes("insert", err == nil)
	_, err = one.Wrap("multipart/alternative")
	yes("wrap", err == nil)
	done("gone", two.Remove())
	start := make([]byte, 5)
	_, err = io.ReadFull(m.Open(), start)
	yes("message", m.Size() > 0 && err == nil && string(start) == "X-Top")
}

func actions(m *mta.Message) {
	first := m.Recipients()[0]
	done("route", first.Route(mta.NextHop{Host: "mx.example.org", Port: 25, RequireTLS: true}))
	done("deliver", m.Deliver(mta.Mailbox{Account: "bob", Folder: "Archive", Flags: []string{`\Seen`}}))
	done("retry", first.RetryAt(time.UnixMilli(1)))
	number("quarantine", int32(mta.Quarantine("on tour")))
	added := false
	err := m.Variant([]mta.Recipient{first}, func(m *mta.Message) error {
		added = true
		return m.Header().AddTop("X-Variant", "1")
	})
	yes("variant", added)
	done("main", err)
	done("send", m.Send("carol@crepes.fr", []string{"frank@example.org"}, []byte("Subject: hi\r\n\r\nhi\r\n")))
}

func services() {
	value, ok, _ := mta.KV.Get("k")
	text("kv none", string(value), ok)
	mta.KV.Set("k", []byte("v"), time.Minute) // what fails shows below
	value, ok, _ = mta.KV.Get("k")
	text("kv set", string(value), ok)
	n, err := mta.KV.Add("n", 2, 0)
	text("kv add", strconv.FormatInt(n, 10), err == nil)
	swapped, _ := mta.KV.Swap("k", []byte("v"), []byte("w"), 0)
	yes("kv swap", swapped)
	value, ok, _ = mta.KV.Get("k")
	text("kv now", string(value), ok)
	done("kv remove", mta.KV.Delete("k"))
	records, err := mta.Lookup(mta.TypeTXT, "example.org")
	text("dns", strings.Join(records, "\n"), err == nil)
	mta.Count("tours", 1)
	mta.Observe("length", 0.5)
}

func main() {}
