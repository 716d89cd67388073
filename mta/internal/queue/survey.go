package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxGroups bounds the memory of a survey: what belongs to further groups, in
// the order of the messages' age, is counted together.
const maxGroups = 10_000

// A Grouping is what a survey groups by.
type Grouping string

// The groupings. A message is counted once for each recipient that the filter
// chooses; by sender once.
const (
	ByNextHop Grouping = "next_hop" // the lane; [LocalGroup] for the message store
	ByDomain  Grouping = "domain"   // of the recipient
	BySender  Grouping = "sender"   // the domain of the reverse-path; `<>` for the null one
	ByReason  Grouping = "reason"   // the last reply or why it is held, without what differs from one message to the next
)

// Groups that are no name of their own.
const (
	LocalGroup   = "local"             // recipients with a mailbox here
	DamagedGroup = "damaged"           // entries that cannot be read
	NewGroup     = "not attempted yet" // by reason
)

// AgeLimits divide messages by the time since they were received, as qshape of
// Postfix does: younger than the first, then than the second, and so on.
var AgeLimits = [...]time.Duration{
	5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute,
	160 * time.Minute, 320 * time.Minute, 640 * time.Minute, 1280 * time.Minute,
}

// A Group is how many messages or recipients have something in common.
type Group struct {
	Name  string
	Count int
	Ages  [len(AgeLimits) + 1]int // by age; the last is what is older than all limits
}

func (g *Group) add(age time.Duration) {
	g.Count++
	i := 0
	for i < len(AgeLimits) && age >= AgeLimits[i] {
		i++
	}
	g.Ages[i]++
}

// A Survey is the shape of a queue.
type Survey struct {
	By       Grouping
	Messages int     // that the filter chose
	Total    Group   // of all groups
	Groups   []Group // the largest first
	Others   Group   // all groups that are not in Groups
}

// Survey counts what f chooses by what it has in common, and names the max
// largest groups. It reads every message's record once, some hundred at a time;
// what it needs in memory does not grow with the queue.
func (q *Queue) Survey(ctx context.Context, f Filter, by Grouping, max int) (*Survey, error) {
	name, ok := groupings[by]
	if !ok {
		return nil, fmt.Errorf("no grouping %q", by)
	}
	t := &tally{q: q, filter: f, name: name, now: time.Now(), groups: map[string]*Group{}}
	t.survey.By = by
	var after mail.QueueID
	for {
		page, err := q.List(ctx, f, after, operatorPage)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			t.count(e, by)
		}
		if len(page) < operatorPage {
			return t.sum(max), nil
		}
		after = page[len(page)-1].ID
	}
}

// A tally is a survey under way.
type tally struct {
	q      *Queue
	filter Filter
	name   func(q *Queue, e *Entry, rcpt int) string
	now    time.Time
	groups map[string]*Group
	survey Survey
}

func (t *tally) count(e *Entry, by Grouping) {
	t.survey.Messages++
	age := t.now.Sub(e.Received)
	switch {
	case len(e.Envelope.Recipients) == 0:
		t.add(DamagedGroup, age)
		return
	case by == BySender:
		t.add(t.name(t.q, e, 0), age)
		return
	}
	for i := range e.Envelope.Recipients {
		if t.filter.chooses(&e.Envelope.Recipients[i]) {
			t.add(t.name(t.q, e, i), age)
		}
	}
}

func (t *tally) add(name string, age time.Duration) {
	t.survey.Total.add(age)
	g := t.groups[name]
	switch {
	case g != nil:
	case len(t.groups) < maxGroups:
		g = &Group{Name: name}
		t.groups[name] = g
	default:
		g = &t.survey.Others
	}
	g.add(age)
}

// sum leaves the largest groups, and adds the others up.
func (t *tally) sum(max int) *Survey {
	s := &t.survey
	for _, g := range t.groups {
		s.Groups = append(s.Groups, *g)
	}
	slices.SortFunc(s.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	if len(s.Groups) > max {
		for _, g := range s.Groups[max:] {
			s.Others.Count += g.Count
			for i := range g.Ages {
				s.Others.Ages[i] += g.Ages[i]
			}
		}
		s.Groups = slices.Clip(s.Groups[:max])
	}
	return s
}

var groupings = map[Grouping]func(q *Queue, e *Entry, rcpt int) string{
	ByNextHop: func(q *Queue, e *Entry, rcpt int) string { return cmp.Or(q.lane(e, rcpt), LocalGroup) },
	ByDomain: func(_ *Queue, e *Entry, rcpt int) string {
		return cmp.Or(strings.ToLower(e.Envelope.Recipients[rcpt].Path.Domain), LocalGroup)
	},
	BySender: func(_ *Queue, e *Entry, _ int) string {
		return cmp.Or(strings.ToLower(e.Envelope.ReversePath.Domain), orNull(e.Envelope.ReversePath))
	},
	ByReason: func(_ *Queue, e *Entry, rcpt int) string {
		if e.Held != "" {
			return "held: " + plainReason(e.Held)
		}
		return cmp.Or(plainReason(e.Reply(rcpt)), NewGroup)
	},
}

// lane is that of one recipient.
func (q *Queue) lane(e *Entry, rcpt int) string {
	if q.Lane == nil {
		return e.Lane
	}
	return q.Lane(&e.Envelope.Recipients[rcpt])
}

// LanesOf are the lanes of the recipients of e, each once, without the message
// store.
func (q *Queue) LanesOf(e *Entry) (lanes []string) {
	for i := range e.Envelope.Recipients {
		if lane := q.lane(e, i); lane != "" && !slices.Contains(lanes, lane) {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// maxReason is how much of a reply names a group, in words.
const maxReason = 24

// plainReason is a reply without what differs from one message to the next:
// addresses, hosts, numbers and IDs. The code and the enhanced code in front
// stay.
func plainReason(reply string) string {
	words := strings.Fields(reply)
	for i, w := range words {
		if i < 2 && isCode(w) {
			continue
		}
		words[i] = plainWord(w)
	}
	if len(words) > maxReason {
		words = append(words[:maxReason], "…")
	}
	return strings.Join(slices.Compact(words), " ")
}

// isCode tells whether a word is a code of a reply: "451", "4.7.1".
func isCode(w string) bool {
	return len(w) >= 3 && len(w) <= 8 && w[0] >= '2' && w[0] <= '5' && strings.Trim(w, "0123456789.") == ""
}

// plainWord is `*` for a word with something of one message or host in it, with
// the punctuation around it.
func plainWord(w string) string {
	const around = "<>()[]{}\"'`,;:.!?="
	core := strings.Trim(w, around)
	varies := strings.ContainsAny(core, "@0123456789/=") || strings.Contains(core, ".") || strings.Contains(core, ":")
	if core == "" || !varies {
		return w
	}
	return "*"
}
