// Package account knows who exists: the accounts of the pipeline file and
// those that `mta account` keeps, their passwords, and which paths of our
// domains lead to whom. What an account owns is for others.
package account

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// An Account is a login that owns mailboxes. Its name is an address.
type Account struct {
	Name string // as [CleanName] returns it
	Hash string // of the password, as [Hash] returns it
}

// A Domain is one that we receive mail for.
type Domain struct {
	Name       string
	Hop        *mail.NextHop // who has its mailboxes; nil: we
	Postmaster string        // the account that has the mail for postmaster; empty: the domain's first
}

// A Config is what the pipeline file says.
type Config struct {
	Domains  []Domain
	Accounts []Account
}

// A Place is where the mail of a path belongs. The zero Place is elsewhere:
// the domain is not ours.
type Place struct {
	Local   bool          // the domain is ours
	Account string        // whose mailbox; empty where Local: there is no such recipient, or Hop has the domain's mail
	Hop     *mail.NextHop // not nil: the domain is ours and its mail goes to this host
}

// A Directory is who exists according to one pipeline file, and to the file of
// `mta account` as it is at each call. Make it with [New]; a reload makes
// another one, with the same Guard. Safe for concurrent use.
type Directory struct {
	domains  map[string]*Domain // by key
	first    string             // key of the first domain
	accounts map[string]Account // of the pipeline file, by name
	order    []string           // their names, in the order of the file
	file     *File              // nil: there is none
	guard    *Guard
	log      *slog.Logger
}

// New returns the directory of cfg. All that is wrong with it comes back in
// one error. file may be nil, and so may log; guard must not.
func New(cfg Config, file *File, guard *Guard, log *slog.Logger) (*Directory, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{domains: map[string]*Domain{}, accounts: map[string]Account{}, file: file, guard: guard, log: log}
	var wrong []error
	for _, domain := range cfg.Domains {
		key := domainKey(domain.Name)
		if d.first == "" {
			d.first = key
		}
		d.domains[key] = &domain
	}
	for _, a := range cfg.Accounts {
		name, err := CleanName(a.Name)
		if err == nil {
			err = CheckHash(a.Hash)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("account %s: %w", a.Name, err))
			continue
		}
		if _, twice := d.accounts[name]; twice {
			wrong = append(wrong, fmt.Errorf("account %s: is there twice", a.Name))
			continue
		}
		d.accounts[name] = Account{name, a.Hash}
		d.order = append(d.order, name)
	}
	for _, domain := range d.domains {
		if p := domain.Postmaster; p != "" {
			name, err := CleanName(p)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("postmaster of %s: %w", domain.Name, err))
			}
			domain.Postmaster = name
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return d, nil
}

// ErrName says that a name cannot be an account's.
var ErrName = errors.New("not an account name")

// CleanName returns the one right spelling of an account's name: an address in
// lower case. It can be the name of a folder, and needs no quotes.
func CleanName(name string) (string, error) {
	bad := func(why string) (string, error) { return "", fmt.Errorf("%w: %q %s", ErrName, name, why) }
	p, err := mail.ParsePath(name)
	switch {
	case err != nil:
		return bad("is no address: " + err.Error())
	case p.Local == "" || p.Domain == "":
		return bad("is no address, such as bob@hamburger.edu")
	case strings.HasPrefix(p.String(), `"`):
		return bad("has characters that need quotes")
	case strings.Contains(name, "/"):
		return bad("has a slash")
	}
	return localKey(p.Local) + "@" + domainKey(p.Domain), nil
}

// localKey makes spellings of a local part the same. Their case matters to
// nobody who gives out addresses (RFC 5321 §2.4 lets us decide).
func localKey(local string) string { return norm.NFC.String(strings.ToLower(local)) }

// domainKey makes spellings of a domain the same: in A-labels where it has
// others (RFC 5890).
func domainKey(domain string) string {
	if mail.HasUTF8(domain) {
		if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
			return ascii
		}
	}
	return strings.ToLower(domain)
}

// find returns the account of that clean name. Those of the pipeline file come
// first.
func (d *Directory) find(name string) (Account, bool, error) {
	if a, ok := d.accounts[name]; ok {
		return a, true, nil
	}
	if d.file == nil {
		return Account{}, false, nil
	}
	return d.file.find(name)
}

// Names lists all accounts: those of the pipeline file in its order, then the
// others by name.
func (d *Directory) Names() ([]string, error) {
	names := slices.Clone(d.order)
	if d.file == nil {
		return names, nil
	}
	kept, err := d.file.List()
	for _, name := range kept {
		if _, twice := d.accounts[name]; !twice {
			names = append(names, name)
		}
	}
	return names, err
}

// Known returns the right name of an account, and whether there is one. The
// mailbox of postmaster is known where nobody else gets its mail.
func (d *Directory) Known(account string) (name string, ok bool) {
	name, err := CleanName(account)
	if err != nil {
		return "", false
	}
	if _, ok, err = d.find(name); ok {
		return name, true
	}
	local, domain, _ := strings.Cut(name, "@")
	if local != postmaster || err != nil {
		return "", false
	}
	place, err := d.Resolve(mail.Path{Local: local, Domain: domain})
	return name, err == nil && place.Account == name
}

const postmaster = "postmaster"

// Resolve tells where the mail of p belongs. Case does not matter; `bob+lists`
// is bob, unless there is an account of just that name. Postmaster exists in
// every domain of ours, and without a domain (RFC 5321 §4.5.1). An error is
// temporary.
func (d *Directory) Resolve(p mail.Path) (Place, error) {
	local, key := localKey(p.Local), domainKey(p.Domain)
	if p.Domain == "" && local == postmaster {
		key = d.first
	}
	domain := d.domains[key]
	switch {
	case domain == nil:
		return Place{}, nil
	case domain.Hop != nil:
		return Place{Local: true, Hop: domain.Hop}, nil
	}
	for _, candidate := range candidates(local) {
		a, ok, err := d.find(candidate + "@" + key)
		if err != nil {
			return Place{}, fmt.Errorf("look up %s: %w", p, err)
		}
		if ok {
			return Place{Local: true, Account: a.Name}, nil
		}
	}
	if base, _, _ := strings.Cut(local, "+"); base == postmaster {
		name, err := d.postmaster(domain, key)
		return Place{Local: true, Account: name}, err
	}
	return Place{Local: true}, nil
}

// candidates are the local parts that local may mean, the exact one first.
func candidates(local string) []string {
	base, _, found := strings.Cut(local, "+")
	if !found || base == "" {
		return []string{local}
	}
	return []string{local, base}
}

// postmaster is who gets the mail for the postmaster of a domain that has no
// such account: somebody always does.
func (d *Directory) postmaster(domain *Domain, key string) (string, error) {
	if domain.Postmaster != "" {
		if _, ok, err := d.find(domain.Postmaster); ok || err != nil {
			return domain.Postmaster, err
		}
	}
	names, err := d.Names()
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "@"+key) {
			return name, nil
		}
	}
	return postmaster + "@" + key, nil // whoever adds the account finds the mail
}

// Recipient tells whether p is in a domain of ours, and if so, whether mail
// for it is taken. An error is temporary.
func (d *Directory) Recipient(p mail.Path) (local, exists bool, err error) {
	place, err := d.Resolve(p)
	return place.Local, place.Account != "" || place.Hop != nil, err
}

// login finds the account that somebody means who logs in: a full address, or
// a local part that only one account has.
func (d *Directory) login(login string) (Account, bool, error) {
	if strings.Contains(login, "@") {
		name, err := CleanName(login)
		if err != nil {
			return Account{}, false, nil
		}
		return d.find(name)
	}
	names, err := d.Names()
	if err != nil {
		return Account{}, false, err
	}
	prefix, match := localKey(login)+"@", ""
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			if match != "" {
				return Account{}, false, nil
			}
			match = name
		}
	}
	if match == "" {
		return Account{}, false, nil
	}
	return d.find(match)
}

func compareNames(a, b Account) int { return cmp.Compare(a.Name, b.Name) }
