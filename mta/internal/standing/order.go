package standing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Limits of the lists. They are in the memory of every node, and asked about
// every message.
const (
	maxRules      = 100    // each is compared with each recipient
	maxSuppressed = 50_000 // 15 MiB
	maxText       = 200    // octets of a reason: it goes into a DSN
	maxPattern    = 320    // octets: an address (RFC 5321 §4.5.3.1)
)

// Errors of changes. Others are the store's.
var (
	ErrInvalid  = errors.New("not a standing order") // the text says what is wrong
	ErrExists   = errors.New("there is a rule of that name")
	ErrNotFound = errors.New("there is no such order")
	ErrFull     = errors.New("too many")
)

// A Rule holds mail to come until an operator releases it. Of From, To and
// Domain each that is set must fit, as in [queue.Filter]; one at least is set.
type Rule struct {
	Name   string    `json:"name"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to,omitempty"`
	Domain string    `json:"domain,omitempty"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"` // who made it
	Since  time.Time `json:"since"`
}

func (r *Rule) fits(reversePath, rcpt mail.Path) bool {
	f := queue.Filter{From: r.From, To: r.To, Domain: r.Domain}
	return f.Covers(reversePath, rcpt)
}

// Held is why a message is held that the rule holds. It begins with the rule's
// name in a form that no reason of another rule has, so that all can be found.
func (r *Rule) Held() string {
	return strings.TrimSuffix("hold rule "+r.Name+": "+r.Reason, " ")
}

var ruleName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)

func (r *Rule) check() error {
	switch {
	case !ruleName.MatchString(r.Name):
		return invalid("the name %q has not 1 to 64 small letters, digits, dots, hyphens and underscores", r.Name)
	case r.From == "" && r.To == "" && r.Domain == "":
		return invalid("a rule needs a sender, a recipient or a domain; * stands for any")
	}
	for _, p := range []string{r.From, r.To, r.Domain} {
		if len(p) > maxPattern || hasControl(p) {
			return invalid("%q is no pattern for addresses", p)
		}
	}
	return checkText(r.Reason)
}

// A Suppression keeps mail from an address, or from all of a domain.
type Suppression struct {
	Address string    `json:"address"`          // an address, or a domain
	Reason  string    `json:"reason,omitempty"` // senders read it
	By      string    `json:"by"`               // who made it
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is taken back
}

func (s *Suppression) inForce(now time.Time) bool { return s.Until.IsZero() || now.Before(s.Until) }

func (s *Suppression) check(now time.Time) error {
	path := s.Address
	if !strings.Contains(path, "@") {
		path = "postmaster@" + path
	}
	p, err := mail.ParsePath(path)
	switch {
	case err != nil || p.Domain == "" || p.Local == "" || s.Address[0] == '@':
		return invalid("%q is neither an address nor a domain", s.Address)
	case !s.inForce(now):
		return invalid("it would end in the past")
	}
	return checkText(s.Reason)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func checkText(s string) error {
	if len(s) > maxText || hasControl(s) {
		return invalid("the reason has more than %d octets, or a control character", maxText)
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// Rules are those in force, by name. The caller does not change them.
func (o *Orders) Rules() []Rule { return o.current().rules }

// AddRule puts a rule in force. It returns once it is on stable storage, and
// holds at this node; other nodes follow within seconds. Since is filled in.
func (o *Orders) AddRule(ctx context.Context, r Rule) (Rule, error) {
	r.Since = o.clock().UTC().Truncate(time.Second)
	if err := r.check(); err != nil {
		return r, err
	}
	return r, edit(ctx, o, rulesKey, func(list []Rule) ([]Rule, error) {
		i, there := slices.BinarySearchFunc(list, r.Name, byName)
		switch {
		case there:
			return nil, fmt.Errorf("%w: %s", ErrExists, r.Name)
		case len(list) >= maxRules:
			return nil, fmt.Errorf("%w: there are %d rules", ErrFull, maxRules)
		}
		return slices.Insert(list, i, r), nil
	})
}

// RemoveRule takes a rule back, and returns it. What it holds stays held.
func (o *Orders) RemoveRule(ctx context.Context, name string) (r Rule, err error) {
	return r, edit(ctx, o, rulesKey, func(list []Rule) ([]Rule, error) {
		i, there := slices.BinarySearchFunc(list, name, byName)
		if !there {
			return nil, ErrNotFound
		}
		r = list[i]
		return slices.Delete(list, i, i+1), nil
	})
}

func byName(r Rule, name string) int { return strings.Compare(r.Name, name) }

// Suppressions yields those in force, by their addresses.
func (o *Orders) Suppressions() []Suppression {
	now := o.clock()
	at := o.current()
	list := make([]Suppression, 0, len(at.suppressed))
	for _, s := range at.suppressed {
		if s.inForce(now) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Suppression) int { return cmp.Compare(keyOf(a.Address), keyOf(b.Address)) })
	return list
}

// Suppress puts a suppression in force, as AddRule does with a rule. One of the
// same address is replaced.
func (o *Orders) Suppress(ctx context.Context, s Suppression) (Suppression, error) {
	now := o.clock()
	s.Since = now.UTC().Truncate(time.Second)
	if err := s.check(now); err != nil {
		return s, err
	}
	if len(o.current().suppressed) >= maxSuppressed {
		return s, fmt.Errorf("%w: %d are suppressed", ErrFull, maxSuppressed)
	}
	key := keyOf(s.Address)
	return s, edit(ctx, o, bucketOf(key), func(list []Suppression) ([]Suppression, error) {
		list = slices.DeleteFunc(list, func(old Suppression) bool { return keyOf(old.Address) == key || !old.inForce(now) })
		return append(list, s), nil
	})
}

// Allow takes a suppression back, and returns it.
func (o *Orders) Allow(ctx context.Context, address string) (s Suppression, err error) {
	key := keyOf(address)
	return s, edit(ctx, o, bucketOf(key), func(list []Suppression) ([]Suppression, error) {
		i := slices.IndexFunc(list, func(old Suppression) bool { return keyOf(old.Address) == key })
		if i < 0 {
			return nil, ErrNotFound
		}
		s = list[i]
		return slices.Delete(list, i, i+1), nil
	})
}
