package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/delivery"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/metrics"
	"github.com/wasmta/wasmta/mta/internal/smtpd"
)

// DemoPassword is that of the accounts in the pipeline file that the project
// comes with.
const DemoPassword = account.DemoPassword

// accountsFile is what `mta account` keeps, in the state folder.
const accountsFile = "accounts.json"

// configOptions are what package config needs to know of the parts.
func configOptions() config.Options {
	return config.Options{Compile: compileCondition, AccountName: account.CleanName,
		Password: account.CheckHash, Demo: account.IsDemo}
}

// newDirectory is who exists according to cfg.
func (s *Server) newDirectory(cfg *config.Config) (*account.Directory, error) {
	return account.New(accountConfig(cfg), s.accountFile, s.guard, s.log)
}

func accountConfig(cfg *config.Config) account.Config {
	var c account.Config
	for _, d := range cfg.Domains {
		domain := account.Domain{Name: d.Name, Postmaster: d.Postmaster.String()}
		if d.Deliver.Scheme != "mailbox" {
			domain.Hop = &mail.NextHop{
				Host: d.Deliver.Host, Port: int(d.Deliver.Port), NoMX: true, LMTP: d.Deliver.Scheme == "lmtp",
			}
		}
		c.Domains = append(c.Domains, domain)
	}
	for _, a := range cfg.Accounts {
		c.Accounts = append(c.Accounts, account.Account{Name: a.Name, Hash: string(a.Password)})
	}
	return c
}

// Authenticate implements smtpd.Directory, pop3d.Accounts and imapd.Accounts
// with the current directory.
func (c *current) Authenticate(ctx context.Context, login, password string, client netip.Addr) (string, error) {
	g := c.acquire()
	defer c.release(g)
	return g.directory.Authenticate(ctx, login, password, client)
}

// logins counts those who authenticate over SMTP.
type logins struct {
	*current
	metrics *metrics.Set
}

// Authenticate implements [smtpd.Directory].
func (l logins) Authenticate(ctx context.Context, login, password string, client netip.Addr) (string, error) {
	name, err := l.current.Authenticate(ctx, login, password, client)
	l.metrics.LoggedIn("smtp", err == nil)
	return name, err
}

// Recipient implements [smtpd.Directory].
func (c *current) Recipient(_ context.Context, p mail.Path) (local, exists bool, err error) {
	g := c.acquire()
	defer c.release(g)
	return g.directory.Recipient(p)
}

// known tells the message store which accounts there are.
func (c *current) known(name string) (string, bool) {
	g := c.acquire()
	defer c.release(g)
	return g.directory.Known(name)
}

// places tells delivery where the mail of a path belongs.
type places struct{ *account.Directory }

// Place implements [delivery.Directory].
func (p places) Place(path mail.Path) (delivery.Place, error) {
	place, err := p.Resolve(path)
	return delivery.Place(place), err
}

// account is the one whose mailbox the mail of a path comes down to; empty if
// there is none, or it cannot be told.
func (p places) account(path mail.Path) string {
	place, err := p.Resolve(path)
	if err != nil || place.Hop != nil {
		return ""
	}
	return place.Account
}

var (
	_ smtpd.Directory    = logins{}
	_ smtpd.Policy       = (*current)(nil)
	_ mail.Deliverer     = (*current)(nil)
	_ delivery.Directory = places{}
	_ delivery.Inbox     = (*mailbox.Store)(nil)
)

// refuseDemo returns an error while an account has the demo password and other
// machines can reach the server. The pipeline file's own accounts have been
// checked by package config; this finds those of `mta account` too.
func refuseDemo(ctx context.Context, cfg *config.Config, dir *account.Directory) error {
	if cfg.Listen.LoopbackOnly() {
		return nil
	}
	demo, err := dir.DemoAccounts(ctx)
	if err != nil || len(demo) == 0 {
		return err
	}
	return config.Findings{cfg.Finding("listen", "other machines can reach this server, while everyone knows the password of "+strings.Join(demo, ", "),
		"set other passwords with `mta account passwd`, or listen on 127.0.0.1 only")}
}

// DemoAccounts returns the accounts that have the demo password. A server that
// others can reach has none (refuseDemo), so it does not look again.
func (s *Server) DemoAccounts(ctx context.Context) []string {
	if !s.cfg.Listen.LoopbackOnly() {
		return nil
	}
	g := s.current.acquire()
	defer s.current.release(g)
	demo, err := g.directory.DemoAccounts(ctx)
	if err != nil {
		return nil // the first login will say why
	}
	return demo
}

// Accounts returns the names of all accounts.
func (s *Server) Accounts() []string {
	g := s.current.acquire()
	defer s.current.release(g)
	names, err := g.directory.Names()
	if err != nil {
		return nil
	}
	return names
}

// A ListedAccount is one that exists, and where it is kept.
type ListedAccount struct {
	Name   string `json:"name"`
	Source string `json:"source"` // the file
}

// AccountList returns the accounts of a pipeline file and of `mta account`.
func AccountList(file string) ([]ListedAccount, error) {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return nil, findings
	}
	list := []ListedAccount{}
	for _, a := range cfg.Accounts {
		list = append(list, ListedAccount{a.Name, cfg.File})
	}
	path := filepath.Join(cfg.State, accountsFile)
	names, err := account.OpenFile(path, nil).List()
	for _, name := range names {
		list = append(list, ListedAccount{name, path})
	}
	return list, err
}

// checkName refuses an account whose mail would go nowhere.
func checkName(cfg *config.Config, name string) error {
	clean, err := account.CleanName(name)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(clean, "@")
	var domains []string
	for _, d := range cfg.Domains {
		if d.Name == domain && d.Deliver.Scheme == "mailbox" {
			return nil
		}
		domains = append(domains, d.Name)
	}
	return fmt.Errorf("%s: %s is not one of the domains with mailboxes in %s (%s)", name, domain, cfg.File, strings.Join(domains, ", "))
}

// AddAccount adds an account to those that `mta account` keeps.
func AddAccount(file, name, password string) error {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return findings
	}
	if err := checkName(cfg, name); err != nil {
		return err
	}
	if ofFile(cfg, name) {
		return fmt.Errorf("%s: %w in %s", name, account.ErrExists, cfg.File)
	}
	f, err := openAccounts(cfg, password)
	if err != nil {
		return err
	}
	return f.Add(name, password)
}

// SetPassword sets that of an account that `mta account` keeps.
func SetPassword(file, name, password string) error {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return findings
	}
	if ofFile(cfg, name) {
		return fmt.Errorf("%s stands in %s: put the hash of the new password there; `mta account hash` makes it", name, cfg.File)
	}
	f, err := openAccounts(cfg, password)
	if err != nil {
		return err
	}
	return f.SetPassword(name, password)
}

// openAccounts opens the accounts of `mta account` for one with that password.
func openAccounts(cfg *config.Config, password string) (*account.File, error) {
	if password == DemoPassword && !cfg.Listen.LoopbackOnly() {
		return nil, errors.New("everyone knows this password, and other machines can reach the server; choose another")
	}
	if err := makeFolders(cfg.State); err != nil {
		return nil, err
	}
	return account.OpenFile(filepath.Join(cfg.State, accountsFile), nil), nil
}

// RemoveAccount removes one that `mta account` keeps.
func RemoveAccount(file, name string) error {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return findings
	}
	if ofFile(cfg, name) {
		return fmt.Errorf("%s stands in %s: remove it there", name, cfg.File)
	}
	f, err := openAccounts(cfg, "")
	if err != nil {
		return err
	}
	return f.Remove(name)
}

// ofFile tells whether the account stands in the pipeline file.
func ofFile(cfg *config.Config, name string) bool {
	clean, err := account.CleanName(name)
	return err == nil && slices.ContainsFunc(cfg.Accounts, func(a config.Account) bool { return a.Name == clean })
}
