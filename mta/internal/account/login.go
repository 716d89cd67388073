package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// ErrBadCredentials says that there is no such account, or that the password
// is another one. Which of them, nobody outside learns.
var ErrBadCredentials = errors.New("no such account, or not that password")

// ErrTooMany says that too many logins failed. It is temporary.
var ErrTooMany error = &temporaryError{errors.New("too many failed logins")}

// A temporaryError says nothing of the credentials: the same may work later.
type temporaryError struct{ err error }

func (e *temporaryError) Error() string { return e.err.Error() }
func (e *temporaryError) Unwrap() error { return e.err }

// Temporary tells callers without this package's types to say "try again".
func (e *temporaryError) Temporary() bool { return true }

// Authenticate returns the account that login names, if password is its own.
// login is a full address, or a local part that only one account has. Errors
// are private: ErrBadCredentials, ErrTooMany, and others that have a method
// Temporary. It returns later the more attempts have failed for the account
// or from the client; a wrong password and an unknown account take the same
// time. Failures are logged, without the password.
func (d *Directory) Authenticate(ctx context.Context, login, password string, client netip.Addr) (string, error) {
	a, found, err := d.lookUp(login)
	if err != nil {
		d.log.Error("login failed", "account", shown(login), "client", client, "reason", "accounts cannot be read", "err", err)
		return "", &temporaryError{fmt.Errorf("authenticate: %w", err)}
	}
	key := a.Name
	if !found {
		key = strings.ToLower(shown(login))
	}
	attempt, delay, ok := d.guard.begin(key, client)
	if !ok {
		d.failed(key, client, "too many failures")
		return "", ErrTooMany
	}
	right, err := d.check(ctx, a, found, password, delay)
	attempt.end(err == nil && !right)
	switch {
	case err != nil:
		return "", &temporaryError{fmt.Errorf("authenticate: %w", err)}
	case right:
		return a.Name, nil
	case !found:
		d.failed(key, client, "no such account")
	default:
		d.failed(key, client, "wrong password")
	}
	return "", ErrBadCredentials
}

func (d *Directory) lookUp(login string) (Account, bool, error) {
	if login == "" || len(login) > maxLogin || !utf8.ValidString(login) {
		return Account{}, false, nil
	}
	return d.login(login)
}

// check compares the password, after the delay.
func (d *Directory) check(ctx context.Context, a Account, found bool, password string, delay time.Duration) (bool, error) {
	if err := pause(ctx, delay); err != nil {
		return false, err
	}
	if len(password) > maxPassword {
		found, password = false, ""
	}
	if found && d.guard.wasRight(a, password) {
		return true, nil
	}
	hash := a.Hash
	if !found {
		hash = ""
	}
	right, err := d.guard.verify(ctx, hash, password)
	if right {
		d.guard.remember(a, password)
	}
	return right, err
}

func pause(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Directory) failed(account string, client netip.Addr, reason string) {
	d.log.Warn("login failed", "account", account, "client", client, "reason", reason)
}

// shown is a login as it may stand in a log. People type passwords in the
// wrong place, but an operator has to see what is being guessed.
func shown(login string) string {
	return strings.ToValidUTF8(login[:min(len(login), maxLogin)], "?")
}

// DemoAccounts returns the accounts whose password is that of the default
// file. It computes a hash for each account there is, some 30 ms of a
// processor.
func (d *Directory) DemoAccounts(ctx context.Context) ([]string, error) {
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	demo := make([]bool, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		a, ok, err := d.find(name)
		if !ok || err != nil {
			errs[i] = err
			continue
		}
		wg.Go(func() { demo[i], errs[i] = d.guard.verify(ctx, a.Hash, DemoPassword) })
	}
	wg.Wait()
	i := -1
	names = slices.DeleteFunc(names, func(string) bool { i++; return !demo[i] })
	return names, errors.Join(errs...)
}
