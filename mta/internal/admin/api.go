package admin

import (
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/standing"
)

// The types of the API. Their tags are what openapi.json says of them: `doc` in
// words, `enum` the values that there are, `max` the longest text, `min` of a number that
// is not an int, which is never below 0.

// A Filter chooses messages. Each field that is set must fit.
type Filter struct {
	IDs    []mail.QueueID `json:"ids,omitempty" max:"1000" doc:"Any of these queue IDs; 1000 at most."`
	From   string         `json:"from,omitempty" max:"320" doc:"The reverse-path; * stands for anything, <> for the null one."`
	To     string         `json:"to,omitempty" max:"320" doc:"A forward-path without an outcome; * stands for anything."`
	Domain string         `json:"domain,omitempty" max:"320" doc:"The domain of one; * stands for anything."`
	State  queue.State    `json:"state,omitempty" enum:"waiting,active,held" doc:"The state."`
	Lane   string         `json:"lane,omitempty" max:"320" doc:"The next hop that it waits for, as the statistics name it; * stands for anything."`
	Reason string         `json:"reason,omitempty" max:"320" doc:"A part of the last reply, or of why it is held."`
	Before time.Time      `json:"before,omitzero" doc:"Received before this time."`
	Larger int64          `json:"larger,omitempty" min:"0" doc:"Over that many octets."`
}

func (f *Filter) queue() queue.Filter {
	return queue.Filter{IDs: f.IDs, From: f.From, To: f.To, Domain: f.Domain, State: f.State, Lane: f.Lane, Reason: f.Reason, Before: f.Before, Larger: f.Larger}
}

func newFilter(f queue.Filter) Filter {
	return Filter{IDs: f.IDs, From: f.From, To: f.To, Domain: f.Domain, State: f.State, Lane: f.Lane, Reason: f.Reason, Before: f.Before, Larger: f.Larger}
}

// A Choice is the messages that an action is done to.
type Choice struct {
	Filter Filter `json:"filter,omitzero" doc:"Which messages."`
	All    bool   `json:"all,omitempty" doc:"Has to be true where the filter is empty."`
}

// A ReasonedChoice comes with a reason.
type ReasonedChoice struct {
	Choice
	Reason string `json:"reason,omitempty" max:"200" doc:"Why. The sender of a message that is returned reads it."`
}

// A Reroute is a choice with where the recipients go.
type Reroute struct {
	Choice
	NextHop string `json:"next_hop" max:"320" doc:"smtp://host:port, lmtp://host:port, mx://domain, with smtp+tls:// only under TLS; or routes, for where the file says."`
}

// A Change is what became of the messages of one request.
type Change struct {
	Changed int                     `json:"changed" doc:"Messages that were changed."`
	Active  int                     `json:"active,omitempty" doc:"Messages that were chosen and left alone: an attempt is under way."`
	Refused int                     `json:"refused,omitempty" doc:"Messages that it cannot be done to; the log says why."`
	Failed  map[mail.QueueID]string `json:"failed,omitempty" doc:"Why, of those that were named and not changed."`
	Lacks   string                  `json:"lacks,omitempty" doc:"The part of the queue that could not be asked, and is as it was."`
}

// Stats are the shape of the queue.
type Stats struct {
	By       queue.Grouping `json:"by" enum:"next_hop,domain,sender,reason" doc:"What the groups have in common."`
	Messages int            `json:"messages" doc:"Messages that were counted, each once."`
	Minutes  []int          `json:"minutes" doc:"The limits of ages: the first number of ages counts what is younger than the first limit, and so on; the last what is older than all."`
	Total    Group          `json:"total" doc:"All groups together."`
	Groups   []Group        `json:"groups" doc:"The largest groups, the largest first."`
	Others   Group          `json:"others" doc:"All other groups together."`
	Lacks    string         `json:"lacks,omitempty" doc:"The part of the queue that could not be asked, and is not counted."`
}

// A Group is how many recipients, or by sender messages, have something in
// common.
type Group struct {
	Name  string `json:"name,omitempty" doc:"What they have in common."`
	Count int    `json:"count" doc:"How many."`
	Ages  []int  `json:"ages" doc:"How many of each age."`
	State string `json:"state,omitempty" enum:"new,open,down,probe" doc:"How the next hop stands at this node."`
}

func newStats(s *queue.Survey, lanes []queue.LaneStatus) Stats {
	states := map[string]string{}
	if s.By == queue.ByNextHop {
		for _, l := range lanes {
			states[l.Lane] = string(l.State)
		}
	}
	group := func(g *queue.Group) Group {
		return Group{Name: g.Name, Count: g.Count, Ages: g.Ages[:], State: states[g.Name]}
	}
	out := Stats{By: s.By, Messages: s.Messages, Total: group(&s.Total), Others: group(&s.Others), Groups: make([]Group, 0, len(s.Groups))}
	for _, limit := range queue.AgeLimits {
		out.Minutes = append(out.Minutes, int(limit.Minutes()))
	}
	for i := range s.Groups {
		out.Groups = append(out.Groups, group(&s.Groups[i]))
	}
	return out
}

// Lanes are the next hops that this node has to do with.
type Lanes struct {
	Lanes []Lane `json:"lanes" doc:"Those with most to do first."`
}

// A NewRule is what a hold rule is about; one of from, to and domain at least is
// set.
type NewRule struct {
	From   string `json:"from,omitempty" max:"320" doc:"The reverse-path; * stands for anything, <> for the null one."`
	To     string `json:"to,omitempty" max:"320" doc:"A forward-path; * stands for anything."`
	Domain string `json:"domain,omitempty" max:"320" doc:"The domain of one; * stands for anything."`
	Reason string `json:"reason,omitempty" max:"200" doc:"Why."`
}

// A Rule holds what is yet to come.
type Rule struct {
	Name string `json:"name" doc:"Its name."`
	NewRule
	Held  string    `json:"held" doc:"Why messages are held that it holds; a filter's reason can find them."`
	By    string    `json:"by" doc:"Who made it."`
	Since time.Time `json:"since" doc:"When."`
}

func newRule(r standing.Rule) Rule {
	return Rule{Name: r.Name, NewRule: NewRule{r.From, r.To, r.Domain, r.Reason}, Held: r.Held(), By: r.By, Since: r.Since}
}

// Rules are the hold rules in force.
type Rules struct {
	Rules []Rule `json:"rules" doc:"By their names."`
}

// A NewSuppression says why and until when nothing goes to an address or domain.
type NewSuppression struct {
	Reason string    `json:"reason,omitempty" max:"200" doc:"Why; senders read it."`
	Until  time.Time `json:"until,omitzero" doc:"When it ends by itself; left out: never."`
}

// A Suppression keeps mail from an address, or from all of a domain.
type Suppression struct {
	Address string `json:"address" doc:"The address or the domain."`
	NewSuppression
	By    string    `json:"by" doc:"Who made it."`
	Since time.Time `json:"since" doc:"When."`
}

func newSuppression(s standing.Suppression) Suppression {
	return Suppression{Address: s.Address, NewSuppression: NewSuppression{s.Reason, s.Until}, By: s.By, Since: s.Since}
}

// A StreamError is the last line of a list that broke off.
type StreamError struct {
	Error string `json:"error" doc:"Why the list ends here."`
}

// A StreamNote is the last line of a list that is not of all.
type StreamNote struct {
	Lacks string `json:"lacks" doc:"The part of the queue that could not be asked, and is not in the list."`
}

// A Problem is the body of an answer that is not 200 (RFC 9457).
type Problem struct {
	Title  string `json:"title" doc:"The class of the problem, in words of HTTP."`
	Status int    `json:"status" doc:"The status code."`
	Detail string `json:"detail" doc:"What is wrong, for a person."`
}

// Nothing is an answer that says no more than 200 does.
type Nothing struct{}
