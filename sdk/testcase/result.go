package testcase

import (
	"bytes"
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// Failed is the verdict of a plugin that gave none: on_error decides, and what
// the plugin changed is undone.
const Failed = "failed"

// A Result is what a plugin did.
type Result struct {
	LoadError string // why it did not start; then it did nothing else
	Verdict   string // "continue", "reject"… or [Failed]
	Reply     *host.Reply
	Reason    string // of quarantine
	From      string
	To        []host.Recipient
	Message   []byte
	Variants  []Variant
	Sends     []host.Sent
	KV        map[string]string // the plugin's store afterwards
	Metrics   []string          // as [Metrics.Lines]
	Log       []string          // "warn: text"; without those of debugging

	SessionNotes, Notes, QueuedNotes map[string]string
}

// Take puts what a hook changed into r.
func (r *Result) Take(ch host.Changes) {
	r.From, r.To, r.Sends = ch.Sender, ch.Recipients, ch.Sends
	r.SessionNotes, r.Notes, r.QueuedNotes = ch.SessionNotes, ch.Notes, ch.QueuedNotes
	if ch.Message != nil {
		r.Message = octetsOf(ch.Message)
	}
	for _, v := range ch.Variants {
		r.Variants = append(r.Variants, Variant{To: v.Recipients, Message: octetsOf(v.Message)})
	}
}

// octetsOf reads a message from the host to its end.
func octetsOf(m host.Message) []byte {
	b := make([]byte, m.Size())
	n, _ := m.ReadAt(b, 0)
	return b[:n]
}

// A Variant is one message for some of the recipients.
type Variant struct {
	To      []host.Recipient
	Message []byte
}

// A Named is a message with a name: "variant-1", "send-2".
type Named struct {
	Name   string
	Octets []byte
}

// Messages are those that came of a case beside the message itself.
func (r *Result) Messages() []Named {
	var all []Named
	for i, v := range r.Variants {
		all = append(all, Named{"variant-" + strconv.Itoa(i+1), v.Message})
	}
	for i, s := range r.Sends {
		all = append(all, Named{"send-" + strconv.Itoa(i+1), s.Octets})
	}
	return all
}

var levels = [...]string{"debug", "info", "warn", "error"}

// Logged keeps a line of the plugin's log: of several the first, as what comes
// after it tells most often where in the plugin that was.
func (r *Result) Logged(level abi.Level, text string) {
	if level > abi.LevelDebug {
		text, _, _ = strings.Cut(text, "\n")
		r.Log = append(r.Log, levels[level]+": "+text)
	}
}

// Text is the result without its messages, a line for each thing:
//
//	load: why the plugin refuses to start (then there are only lines of log)
//	verdict: reject
//	reply: 550 5.7.1 No, thank you
//	reason: looks like spam
//	from: alice@crepes.fr
//	to: bob@hamburger.edu deliver folder=Lists/go flags=\Seen
//	to: carol@hamburger.edu relay host=mx.example.net:2525 tls no-mx
//	to: dave@hamburger.edu reply 550 5.1.1 Gone
//	to: erin@hamburger.edu retry 2026-11-24T10:30:00Z
//	variant-1: frank@hamburger.edu
//	send-1: from <> to alice@crepes.fr
//	session-note: key=value
//	note: key=value
//	queued-note: key=value
//	kv: key=value
//	counter: name=1
//	observed: name=0.5
//	log: warn: text
func (r *Result) Text() string {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(key + ": " + value + "\n") }
	if r.LoadError != "" {
		line("load", r.LoadError)
		for _, s := range r.Log {
			line("log", s)
		}
		return b.String()
	}
	line("verdict", r.Verdict)
	if r.Reply != nil {
		line("reply", replyText(r.Reply))
	}
	if r.Reason != "" {
		line("reason", r.Reason)
	}
	line("from", cmp.Or(r.From, "<>"))
	for i := range r.To {
		line("to", recipientText(&r.To[i]))
	}
	for i, v := range r.Variants {
		for j := range v.To {
			line("variant-"+strconv.Itoa(i+1), recipientText(&v.To[j]))
		}
	}
	for i, s := range r.Sends {
		line("send-"+strconv.Itoa(i+1), "from "+cmp.Or(s.Sender, "<>")+" to "+strings.Join(s.Recipients, " "))
	}
	pairs(line, "session-note", r.SessionNotes)
	pairs(line, "note", r.Notes)
	pairs(line, "queued-note", r.QueuedNotes)
	pairs(line, "kv", r.KV)
	for _, s := range r.Metrics {
		b.WriteString(s + "\n")
	}
	for _, s := range r.Log {
		line("log", s)
	}
	return b.String()
}

func pairs(line func(key, value string), kind string, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		line(kind, k+"="+m[k])
	}
}

func replyText(r *host.Reply) string {
	return strings.Join(strings.Fields(strconv.Itoa(r.Code)+" "+r.Enhanced+" "+r.Text), " ")
}

func recipientText(r *host.Recipient) string {
	words := []string{r.Address}
	if r.Original != r.Address && r.Original != "" {
		words = append(words, "was="+r.Original)
	}
	if d := r.Deliver; d != nil {
		words = append(words, "deliver")
		words = appendSet(words, "account", d.Account)
		words = appendSet(words, "folder", d.Folder)
		words = appendSet(words, "flags", strings.ReplaceAll(d.Flags, " ", ","))
	}
	if h := r.Route; h != nil {
		hop := h.Host
		if h.Port != 0 {
			hop = net.JoinHostPort(h.Host, strconv.Itoa(h.Port))
		}
		words = append(words, "relay", "host="+hop)
		if h.RequireTLS {
			words = append(words, "tls")
		}
		if h.NoMX {
			words = append(words, "no-mx")
		}
	}
	if r.Reply != nil {
		words = append(words, "reply", replyText(r.Reply))
	}
	if !r.RetryAt.IsZero() {
		words = append(words, "retry", r.RetryAt.UTC().Format(time.RFC3339))
	}
	return strings.Join(words, " ")
}

func appendSet(words []string, key, value string) []string {
	if value == "" {
		return words
	}
	return append(words, key+"="+value)
}

// A Difference is what a result has otherwise than its case wants.
type Difference struct {
	What      string // "result", "message", or the name of one of Result.Messages
	Got, Want []byte // of the result, the lines of Result.Text
}

// Compare holds a result against c.Want. A line of want.Text for each of from,
// to, notes, kv, metrics and log is needed only if one of its kind is there: what a case
// says nothing of, it does not ask for, but for the verdict and all messages.
func (c *Case) Compare(r Result) []Difference {
	if c.Want == nil {
		return nil
	}
	var found []Difference
	if got := keepKinds(r.Text(), c.Want.Text); got != c.Want.Text {
		found = append(found, Difference{"result", []byte(got), []byte(c.Want.Text)})
	}
	want := c.Want.Message
	if want == nil {
		want = c.Message
	}
	if r.LoadError == "" && !bytes.Equal(r.Message, want) {
		found = append(found, Difference{"message", r.Message, want})
	}
	return append(found, c.compareOthers(r.Messages())...)
}

func (c *Case) compareOthers(got []Named) []Difference {
	var found []Difference
	have := map[string]bool{}
	for _, m := range got {
		have[m.Name] = true
		if want := c.Want.Others[m.Name]; !bytes.Equal(m.Octets, want) {
			found = append(found, Difference{m.Name, m.Octets, want})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Want.Others)) {
		if !have[name] {
			found = append(found, Difference{name, nil, c.Want.Others[name]})
		}
	}
	return found
}

// keepKinds are the lines of got that a case asks for.
func keepKinds(got, want string) string {
	kinds := map[string]bool{"load": true, "verdict": true, "reply": true, "reason": true}
	for line := range strings.Lines(want) {
		kind, _, _ := strings.Cut(line, ":")
		kinds[kind] = true
	}
	// Warnings and errors are never passed over in silence, and no message is.
	var b strings.Builder
	for line := range strings.Lines(got) {
		kind, text, _ := strings.Cut(line, ": ")
		if kinds[kind] || isOther(kind) || kind == "log" && !strings.HasPrefix(text, "info") {
			b.WriteString(line)
		}
	}
	return b.String()
}
