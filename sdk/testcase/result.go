package testcase

import (
	"bytes"
	"net"
	"slices"
	"strconv"
	"strings"

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
	Notes     map[string]string
	Message   []byte
	Log       []string // "warn: text"; without those of debugging
}

var levels = [...]string{"debug", "info", "warn", "error"}

// Logged keeps a line of the plugin's log.
func (r *Result) Logged(level abi.Level, text string) {
	if level > abi.LevelDebug {
		r.Log = append(r.Log, levels[level]+": "+text)
	}
}

// Text is the result without its message, a line for each thing:
//
//	load: why the plugin refuses to start (then there are only lines of log)
//	verdict: reject
//	reply: 550 5.7.1 No, thank you
//	reason: looks like spam
//	from: alice@crepes.fr
//	to: bob@hamburger.edu deliver folder=Lists/go flags=\Seen
//	to: carol@hamburger.edu relay host=mx.example.net:2525 tls no-mx
//	to: dave@hamburger.edu reply 550 5.1.1 Gone
//	note: key=value
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
	line("from", cmpOr(r.From, "<>"))
	for i := range r.To {
		line("to", recipientText(&r.To[i]))
	}
	keys := make([]string, 0, len(r.Notes))
	for k := range r.Notes {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		line("note", k+"="+r.Notes[k])
	}
	for _, s := range r.Log {
		line("log", s)
	}
	return b.String()
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
	return strings.Join(words, " ")
}

func appendSet(words []string, key, value string) []string {
	if value == "" {
		return words
	}
	return append(words, key+"="+value)
}

func cmpOr(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// A Difference is what a result has otherwise than its case wants.
type Difference struct {
	What      string // "result" or "message"
	Got, Want []byte // of the result, the lines of Result.Text
}

// Compare holds a result against c.Want. A line of want.Text for each of from,
// to, note and log is needed only if one of its kind is there: what a case
// says nothing of, it does not ask for, but for the verdict and the message.
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
	return found
}

// keepKinds are the lines of got that a case asks for.
func keepKinds(got, want string) string {
	kinds := map[string]bool{"load": true, "verdict": true, "reply": true, "reason": true}
	for line := range strings.Lines(want) {
		kind, _, _ := strings.Cut(line, ":")
		kinds[kind] = true
	}
	// Warnings and errors are never passed over in silence.
	var b strings.Builder
	for line := range strings.Lines(got) {
		kind, text, _ := strings.Cut(line, ": ")
		if kinds[kind] || kind == "log" && !strings.HasPrefix(text, "info") {
			b.WriteString(line)
		}
	}
	return b.String()
}
