package redis

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// found are the settings that Check complains of; those that lose mail have an
// exclamation mark.
func found(t *testing.T, s *Store) (names []string) {
	t.Helper()
	all, err := s.Check(ctx)
	must(t, err)
	for _, f := range all {
		name := f.Setting
		if f.Loses {
			name += "!"
		}
		if f.Server == "" || f.Text == "" {
			t.Errorf("%s: server %q, text %q", f.Setting, f.Server, f.Text)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wantDurable wants a put to be refused if settings lose mail, and taken if the
// file says that this does not matter.
func wantDurable(t *testing.T, o Options, want ...string) {
	t.Helper()
	s := real(t, o)
	got := found(t, s)
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	err := s.Put(ctx, message(), mail.Bytes(hello), time.Time{})
	if loses := strings.Contains(strings.Join(want, " "), "!"); loses != errors.Is(err, ErrUnsafe) || !loses && err != nil {
		t.Errorf("put: got %v", err)
	} else if loses && !strings.Contains(err.Error(), want[0][:len(want[0])-1]) {
		t.Errorf("put: %v, which does not name %s", err, want[0])
	}
	o.Durability, o.Prefix = Relaxed, "relaxed"
	must(t, real(t, o).Put(ctx, message(), mail.Bytes(hello), time.Time{}))
}

func TestCheckSettings(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]string
		want   []string
	}{
		"as it has to be":            {nil, nil},
		"nothing is kept":            {map[string]string{"appendonly": "no"}, []string{"appendonly!"}},
		"saved now and then":         {map[string]string{"appendonly": "no", "save": "60 1"}, []string{"appendonly!"}},
		"synced each second":         {map[string]string{"appendfsync": "everysec"}, []string{"appendfsync!"}},
		"synced at times":            {map[string]string{"appendfsync": "no"}, []string{"appendfsync!"}},
		"not synced while rewriting": {map[string]string{"no-appendfsync-on-rewrite": "yes"}, []string{"no-appendfsync-on-rewrite!"}},
		"any key is thrown away":     {map[string]string{"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}, []string{"maxmemory-policy!"}},
		"keys that end are":          {map[string]string{"maxmemory": "100mb", "maxmemory-policy": "volatile-ttl"}, []string{"maxmemory-policy"}},
		"several things":             {map[string]string{"appendonly": "no", "maxmemory-policy": "allkeys-random"}, []string{"appendonly!", "maxmemory-policy!"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t, redistest.Options{Config: test.config})
			wantDurable(t, Options{URL: server.URL()}, test.want...)
		})
	}
}

// A server that does not tell its settings may have any.
func TestCheckForbidden(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]string
		want   string
	}{
		"it has a file":  {nil, "appendfsync!"},
		"it has no file": {map[string]string{"appendonly": "no"}, "appendonly!"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.New(t, redistest.Options{Config: test.config, Lines: []string{"user mta on >secret ~* &* +@all -config"}})
			wantDurable(t, Options{URL: "redis://mta:secret@" + server.Addr()}, test.want)
		})
	}
}

// A login that is refused is no matter of settings.
func TestCheckWithoutLogin(t *testing.T) {
	server := redistest.New(t, redistest.Options{Lines: []string{"user mta on >secret ~* &* +@all", "user default on >another ~* &* +@all"}})
	for _, login := range []string{"mta:wrong@", "nobody:secret@", ""} {
		s := real(t, Options{URL: "redis://" + login + server.Addr(), Replicas: 1})
		if all, err := s.Check(ctx); !errors.Is(err, ErrLogin) || !errors.Is(err, ErrAway) || len(all) > 0 {
			t.Errorf("%q: found %v, %v", login, all, err)
		}
		wantRefused(t, s, ErrLogin)
	}
}

func TestCheckReplicas(t *testing.T) {
	r := redistest.NewReplicated(t, redistest.Options{}, 1)
	wantDurable(t, Options{URL: r.URL()}, "connected_slaves!")
	wantDurable(t, Options{URL: r.URL(), Replicas: 1, Prefix: "confirmed"})
	if got := found(t, real(t, Options{URL: r.URL(), Replicas: 2})); !slices.Equal(got, []string{"connected_slaves"}) {
		t.Errorf("of two replicas there is one: found %v", got)
	}
	wantDurable(t, Options{URL: r.Servers[0].URL(), Prefix: "alone"}, "connected_slaves") // nobody fails it over
}

func TestCheckCluster(t *testing.T) {
	c := redistest.NewCluster(t, redistest.Options{}, 3)
	s := real(t, Options{URL: c.URL()})
	if got := found(t, s); len(got) != 0 && got[0] != "connected_slaves" {
		t.Errorf("found %v", got)
	}
	if _, err := c.Servers[1].Do("CONFIG", "SET", "appendfsync", "everysec"); err != nil {
		t.Fatal(err)
	}
	if got := found(t, s); !slices.Contains(got, "appendfsync!") {
		t.Errorf("one of three syncs each second: found %v", got)
	}
}

// A server that comes back with other settings gets nothing, though its first
// check was fine.
func TestCheckEachConnection(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	put(t, s)
	if _, err := server.Do("CONFIG", "SET", "appendfsync", "everysec"); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Do("CLIENT", "KILL", "TYPE", "normal"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return errors.Is(s.Put(ctx, message(), mail.Bytes(hello), time.Time{}), ErrUnsafe) })
}

func TestCheckAway(t *testing.T) {
	server := redistest.New(t, redistest.Options{})
	s := real(t, Options{URL: server.URL()})
	must(t, server.Kill())
	if _, err := s.Check(ctx); !errors.Is(err, ErrAway) {
		t.Errorf("got %v", err)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]bool{"7.2.0": true, "8.0.1": true, "7.0.15": false, "6.2": false, "": false} {
		if got := atLeast(version, 7, 2); got != want {
			t.Errorf("%q knows WAITAOF: %v", version, got)
		}
	}
}
