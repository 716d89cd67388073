// Package report says what became of a message on its way through the stages:
// what each changed, as a difference that a person reads, and what it cost. It
// compares and renders; it asks no stage.
package report

import (
	"encoding/json"
	"io"
	"time"
)

// A Report is the way of one message.
type Report struct {
	Message string            `json:"message"` // where it came from: a file's name
	Size    int64             `json:"size"`
	From    string            `json:"from"`
	To      []string          `json:"to"`
	Client  string            `json:"client"`
	Helo    string            `json:"helo"`
	Assumed map[string]string `json:"assumed,omitempty"` // which of these was not given, and where it was taken from

	Steps   []Step   `json:"steps"`
	Verdict string   `json:"verdict"`         // accept, quarantine, discard, reject, defer or disconnect
	Reply   string   `json:"reply,omitempty"` // what the client hears, if it is refused
	Held    string   `json:"held,omitempty"`  // why it is held
	Queued  []Queued `json:"queued,omitempty"`
	Used    Usage    `json:"used"` // by all stages together; memory is the most that one had
	Notes   []string `json:"notes,omitempty"`
}

// A Step is one stage asked one hook.
type Step struct {
	Stage      string   `json:"stage"`
	Hook       string   `json:"hook"`
	About      string   `json:"about,omitempty"`   // the recipient of on_rcpt; of a message that was divided, the part's recipients
	Skipped    string   `json:"skipped,omitempty"` // why it was not asked
	Verdict    string   `json:"verdict"`
	Reply      string   `json:"reply,omitempty"`
	Reason     string   `json:"reason,omitempty"` // of quarantine
	Error      string   `json:"error,omitempty"`  // why it failed; the verdict is what its on_error makes of that
	Changes    *Changes `json:"changes,omitempty"`
	Parts      []Queued `json:"divided,omitempty"`    // what it divided from the message
	Sent       []Queued `json:"sent,omitempty"`       // what it sends
	Log        []string `json:"log,omitempty"`        // "warn: text"
	Counted    []string `json:"counted,omitempty"`    // "name +1", "name = 0.5"
	Remembered []Line   `json:"remembered,omitempty"` // of its keys and values
	Used       Usage    `json:"used"`
}

// Usage is what a hook call used.
type Usage struct {
	Time   time.Duration `json:"ns"`
	Fuel   uint64        `json:"fuel"`
	Calls  int           `json:"calls"`
	Memory int64         `json:"memory"` // octets
}

// add adds what another call used.
func (u *Usage) add(o Usage) {
	u.Time += o.Time
	u.Fuel += o.Fuel
	u.Calls += o.Calls
	u.Memory = max(u.Memory, o.Memory)
}

// Sum fills r.Used.
func (r *Report) Sum() {
	r.Used = Usage{}
	for _, s := range r.Steps {
		r.Used.add(s.Used)
	}
}

// A Queued is a message that goes into the queue, or would.
type Queued struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Where   []string `json:"where,omitempty"`   // for each of To, where it would be delivered or relayed
	By      string   `json:"sent_by,omitempty"` // the stage that sends it; empty: it is (a part of) the message
	Subject string   `json:"subject,omitempty"`
	Changes *Changes `json:"changes,omitempty"` // of a part, against the message before it was divided; of what is sent, all of it
	File    string   `json:"file,omitempty"`    // where it was written
}

// WriteJSON writes reports as one JSON value: a list.
func WriteJSON(w io.Writer, reports []*Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(reports)
}
