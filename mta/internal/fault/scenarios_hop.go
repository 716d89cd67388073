package fault

import (
	"slices"
	"strings"
	"time"
)

// stages are where a next hop can misbehave.
var stages = []string{"connect", "ehlo", "mail", "rcpt", "data", "end"}

// share of transactions at which a quirk shows: enough to be met again and
// again, and not so much that no mail ever arrives before the end.
const share = 0.4

// nextHops are scenarios in which some next hops misbehave while others work.
func nextHops() []*Scenario {
	return []*Scenario{
		nextHop("hop-hang", "next hops that say nothing any more at connect, EHLO, MAIL, RCPT, DATA, in the content, after the final dot", "hang", append([]string{"content"}, stages...)),
		nextHop("hop-drop", "next hops that close at each of these, also after the final dot without a reply", "drop", append([]string{"content"}, stages...)),
		nextHop("hop-late", "next hops that answer each of these after the time-out", "late", stages),
		nextHop("hop-4xx", "next hops that answer each of these 4xx", "4xx", stages),
		nextHop("hop-5xx", "next hops that answer each of these 5xx", "5xx", stages),
		nextHop("hop-never", "a next hop that never accepts a connection", "never", []string{"connect"}),
	}
}

func nextHop(name, what, do string, at []string) *Scenario {
	s := &Scenario{
		Name: name, What: what, Stores: []string{Spool, Redis}, Times: 10,
		Load:  Load{Pause: 50 * time.Millisecond},
		Fault: func(r *Run, _ int) error { time.Sleep(time.Second); return nil }, // the time-outs need some time
		Check: undisturbed,
	}
	for _, at := range at {
		s.Quirks = append(s.Quirks, Quirk{At: at, Do: do, Share: share})
	}
	return s
}

// patience is how long mail may take that no next hop holds up. It is far more
// than it needs, and less than it would wait behind two hanging next hops.
const patience = 20 * time.Second

// undisturbed looks at mail for mailboxes and good next hops, and counts how
// often others misbehaved.
func undisturbed(r *Run, result *Result) {
	result.Times = 0
	for _, s := range r.Sinks {
		result.Times += int(s.misbehaved.Load())
	}
	slowest := r.Ledger.slowest(func(rcpt string) bool {
		_, domain, _ := strings.Cut(rcpt, "@")
		return slices.Contains([]string{"mail.test", "ok.test", "fine.test"}, domain)
	})
	result.Slowest = slowest.Round(time.Millisecond).String()
	if slowest > patience {
		result.violation("held up: mail for a next hop that works took %v", slowest)
	}
}
