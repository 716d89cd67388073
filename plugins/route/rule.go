package main

import (
	"strconv"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
)

type config struct {
	Zone      string `json:"zone"`
	Separator string `json:"separator"`
	Rules     []rule `json:"rules"`
}

// A rule is what is done, if its conditions hold.
type rule struct {
	Name   string     `json:"name"`
	If     condition  `json:"if"`
	Unless *condition `json:"unless"`

	Add        addresses `json:"add"`
	Rewrite    *rewrite  `json:"rewrite"`
	Deliver    *folder   `json:"deliver"`
	Relay      *hop      `json:"relay"`
	Quarantine string    `json:"quarantine"`
	Reject     *refusal  `json:"reject"`
	Defer      *refusal  `json:"defer"`
	Discard    bool      `json:"discard"`

	Continue bool `json:"continue"`

	label string // for the log
}

// addresses are recipients to add. In the file: one, or a list.
type addresses []template

// UnmarshalConfig implements [mta.Unmarshaler].
func (a *addresses) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	*a = nil
	for _, s := range list {
		t, err := parseAddress(s)
		if err != nil {
			return err
		}
		*a = append(*a, t)
	}
	return nil
}

// rewrite is what a recipient becomes.
type rewrite struct{ to template }

// UnmarshalConfig implements [mta.Unmarshaler].
func (r *rewrite) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return errOneAddress
	}
	r.to, err = parseAddress(list[0])
	return err
}

// A router is the configuration, ready for messages.
type router struct {
	zone      *time.Location
	separator string
	rules     []rule
}

func load() (*router, error) {
	c := config{Separator: "+"}
	if err := mta.Config(&c); err != nil {
		return nil, err
	}
	r := &router{separator: c.Separator, rules: c.Rules}
	var findings []string
	zone, err := loadZone(c.Zone)
	if err != nil {
		findings = append(findings, "zone: "+err.Error())
	}
	r.zone = zone
	for i := range r.rules {
		rule := &r.rules[i]
		rule.label = label(i, rule.Name)
		for _, what := range rule.check() {
			findings = append(findings, rule.label+": "+what)
		}
	}
	if findings != nil {
		return nil, &mta.ConfigError{Findings: findings}
	}
	return r, nil
}

// label names a rule as the file's paths do, from zero.
func label(i int, name string) string {
	s := "rules[" + strconv.Itoa(i) + "]"
	if name != "" {
		s += " (" + name + ")"
	}
	return s
}

// check is what is wrong with a rule as a whole, with the cure.
func (r *rule) check() (findings []string) {
	add := func(what string) { findings = append(findings, what) }
	alone := r.names(map[string]bool{"reject": r.Reject != nil, "defer": r.Defer != nil, "discard": r.Discard})
	places := r.names(map[string]bool{"deliver": r.Deliver != nil, "relay": r.Relay != nil})
	others := len(places) > 0 || r.Add != nil || r.Rewrite != nil || r.Quarantine != ""
	switch {
	case len(alone) > 1:
		add(alone[0] + " and " + alone[1] + " exclude each other; keep one")
	case len(alone) == 1 && others:
		add(alone[0] + " ends the matter, so nothing can stand beside it; make two rules")
	case len(places) > 1:
		add("deliver and relay exclude each other; keep one")
	case len(alone) == 0 && !others:
		add("does nothing; write deliver, relay, rewrite, add, quarantine, reject, defer or discard: true")
	case len(alone) == 1 && r.Continue && !r.Discard:
		add(alone[0] + " ends the matter, so continue cannot follow; remove continue")
	}
	if r.Unless != nil && !r.Unless.aboutMessage() && !r.Unless.aboutRecipients() {
		add("unless has no condition, so the rule would never match; fill it or remove it")
	}
	if r.Reject != nil {
		if err := r.Reject.check("5"); err != nil {
			add("reject: " + err.Error())
		}
	}
	if r.Defer != nil {
		if err := r.Defer.check("4"); err != nil {
			add("defer: " + err.Error())
		}
	}
	for _, c := range []*condition{&r.If, r.Unless} {
		if c != nil {
			findings = append(findings, c.check()...)
		}
	}
	return findings
}

// names are the keys that are set, in a fixed order.
func (r *rule) names(set map[string]bool) (names []string) {
	for _, name := range []string{"deliver", "relay", "reject", "defer", "discard"} {
		if set[name] {
			names = append(names, name)
		}
	}
	return names
}
