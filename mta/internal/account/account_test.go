package account

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cheap is the hash of "ketchup" with parameters that cost nothing.
var cheap = cheapHash("ketchup")

func cheapHash(password string) string {
	h := phc{memory: 8, time: 1, threads: 1, salt: []byte("saltsalt"), key: make([]byte, minKey)}
	h.key = h.derive(password)
	return h.String()
}

// newGuard is NewGuard with a decoy as cheap as the other hashes.
func newGuard() *Guard {
	g := NewGuard()
	g.decoy.memory, g.decoy.time = 8, 1
	return g
}

var client = netip.MustParseAddr("192.0.2.1")

func directory(t testing.TB, cfg Config, file *File) *Directory {
	t.Helper()
	d, err := New(cfg, file, newGuard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func hamburger() Config {
	return Config{
		Domains: []Domain{
			{Name: "hamburger.edu"},
			{Name: "crepes.fr", Hop: &mail.NextHop{Host: "127.0.0.1", LMTP: true}},
			{Name: "empty.example"},
			{Name: "ruled.example", Postmaster: "Bob@hamburger.edu"},
		},
		Accounts: []Account{
			{"alice@hamburger.edu", cheap},
			{"Bob@Hamburger.edu", cheapHash("mustard")},
			{"bob+x@hamburger.edu", cheapHash("x")},
		},
	}
}

func TestResolve(t *testing.T) {
	d := directory(t, hamburger(), nil)
	for name, c := range map[string]struct {
		path mail.Path
		want Place
	}{
		"an account":                      {mail.Path{Local: "alice", Domain: "hamburger.edu"}, Place{Local: true, Account: "alice@hamburger.edu"}},
		"in another case":                 {mail.Path{Local: "BOB", Domain: "HAMBURGER.edu"}, Place{Local: true, Account: "bob@hamburger.edu"}},
		"with a detail":                   {mail.Path{Local: "bob+lists", Domain: "hamburger.edu"}, Place{Local: true, Account: "bob@hamburger.edu"}},
		"with a detail that is a name":    {mail.Path{Local: "bob+X", Domain: "hamburger.edu"}, Place{Local: true, Account: "bob+x@hamburger.edu"}},
		"a detail alone":                  {mail.Path{Local: "+bob", Domain: "hamburger.edu"}, Place{Local: true}},
		"nobody":                          {mail.Path{Local: "carol", Domain: "hamburger.edu"}, Place{Local: true}},
		"another domain":                  {mail.Path{Local: "alice", Domain: "example.com"}, Place{}},
		"a bare name":                     {mail.Path{Local: "alice"}, Place{}},
		"the null path":                   {mail.Path{}, Place{}},
		"postmaster":                      {mail.Path{Local: "postmaster", Domain: "hamburger.edu"}, Place{Local: true, Account: "alice@hamburger.edu"}},
		"postmaster without a domain":     {mail.Path{Local: "PostMaster"}, Place{Local: true, Account: "alice@hamburger.edu"}},
		"postmaster with a detail":        {mail.Path{Local: "postmaster+x", Domain: "hamburger.edu"}, Place{Local: true, Account: "alice@hamburger.edu"}},
		"postmaster of an empty domain":   {mail.Path{Local: "postmaster", Domain: "empty.example"}, Place{Local: true, Account: "postmaster@empty.example"}},
		"postmaster that the config says": {mail.Path{Local: "postmaster", Domain: "ruled.example"}, Place{Local: true, Account: "bob@hamburger.edu"}},
		"a domain of another host":        {mail.Path{Local: "anybody", Domain: "crepes.fr"}, Place{Local: true, Hop: hamburger().Domains[1].Hop}},
	} {
		got, err := d.Resolve(c.path)
		if got.Hop != nil && c.want.Hop != nil {
			*got.Hop, got.Hop = *c.want.Hop, c.want.Hop
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q: got %+v, %v, want %+v", name, c.path, got, err, c.want)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	cfg := hamburger()
	cfg.Accounts = append(cfg.Accounts, Account{"alice@crepes.fr", cheapHash("other")})
	d := directory(t, cfg, nil)
	for name, c := range map[string]struct{ login, password, want string }{
		"a full address":              {"bob@hamburger.edu", "mustard", "bob@hamburger.edu"},
		"in another case":             {"BOB@Hamburger.EDU", "mustard", "bob@hamburger.edu"},
		"a local part":                {"bob", "mustard", "bob@hamburger.edu"},
		"a local part of two":         {"alice", "ketchup", ""},
		"one of the two":              {"alice@crepes.fr", "other", "alice@crepes.fr"},
		"a wrong password":            {"bob@hamburger.edu", "ketchup", ""},
		"a password in another case":  {"bob@hamburger.edu", "Mustard", ""},
		"an empty password":           {"bob@hamburger.edu", "", ""},
		"a very long password":        {"bob@hamburger.edu", strings.Repeat("a", 1<<20), ""},
		"nobody":                      {"carol@hamburger.edu", "mustard", ""},
		"no login":                    {"", "mustard", ""},
		"a login that is no text":     {"\xff@hamburger.edu", "mustard", ""},
		"a very long login":           {strings.Repeat("a", 1<<20), "mustard", ""},
		"the hash itself as password": {"bob@hamburger.edu", cheapHash("mustard"), ""},
	} {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(len(name))}) // nobody waits for another's failures
		got, err := d.Authenticate(context.Background(), c.login, c.password, addr)
		if got != c.want || (c.want == "") != errors.Is(err, ErrBadCredentials) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestFile(t *testing.T) {
	file := OpenFile(filepath.Join(t.TempDir(), "accounts.json"), nil)
	other := OpenFile(file.path, nil) // another process
	d := directory(t, hamburger(), other)
	login := func(password string) error {
		_, err := d.Authenticate(context.Background(), "carol@hamburger.edu", password, client)
		return err
	}
	if err := login("one"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("before: %v", err)
	}
	if err := file.Add("Carol@hamburger.edu", "one"); err != nil {
		t.Fatal(err)
	}
	if err := login("one"); err != nil {
		t.Errorf("after Add: %v", err)
	}
	if err := file.SetPassword("carol@hamburger.edu", "two"); err != nil {
		t.Fatal(err)
	}
	if err := login("one"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if err := login("two"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := file.Add("carol@hamburger.edu", "three"); !errors.Is(err, ErrExists) {
		t.Errorf("Add again: %v", err)
	}
	if err := file.Remove("carol@hamburger.edu"); err != nil {
		t.Fatal(err)
	}
	if err := file.Remove("carol@hamburger.edu"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove again: %v", err)
	}
	if err := login("two"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("after Remove: %v", err)
	}
}
