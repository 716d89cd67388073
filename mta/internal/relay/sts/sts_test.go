package sts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const enforced = "version: STSv1\r\nmode: enforce\r\nmx: mx.crepes.fr\r\nmx: *.backup.crepes.fr\r\nmax_age: 604800\r\n"

// A world has one domain, crepes.fr, with what it says by DNS and HTTPS.
type world struct {
	mu      sync.Mutex
	texts   []string
	dnsErr  error
	policy  string
	webErr  error
	delay   time.Duration
	lookups int
	fetches int
}

func (w *world) lookup(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	if name != "_mta-sts.crepes.fr." {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return w.texts, w.dnsErr
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches++
	if w.webErr != nil {
		return nil, w.webErr
	}
	if w.delay > 0 {
		timer := time.NewTimer(w.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if req.URL.String() != "https://mta-sts.crepes.fr/.well-known/mta-sts.txt" {
		return nil, fmt.Errorf("asked for %s", req.URL)
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body: io.NopCloser(strings.NewReader(w.policy)), Request: req,
	}, nil
}

func (w *world) set(f func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func (w *world) fetched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fetches
}

func (w *world) cache(dir string) *Cache {
	return New(Options{Dir: dir, LookupTXT: w.lookup, Client: &http.Client{Transport: w}})
}

func newWorld() *world { return &world{texts: []string{"v=STSv1; id=1;"}, policy: enforced} }

// in runs f in a bubble of time, with a cache in dir.
func in(t *testing.T, w *world, dir string, f func(*testing.T, *Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := w.cache(dir)
		defer c.Close()
		f(t, c)
	})
}

// mode is the mode of the policy that c has, and what failed.
func mode(t *testing.T, c *Cache) string {
	t.Helper()
	p, failed := c.Policy(t.Context(), "crepes.fr")
	got := "-"
	if p != nil {
		got = string(p.Mode) + " " + p.ID
	}
	if failed != nil {
		got += " " + failed.Kind
	}
	return got
}

func want(t *testing.T, c *Cache, when, want string) {
	t.Helper()
	if got := mode(t, c); got != want {
		t.Errorf("%s: got %q, want %q", when, got, want)
	}
}

func TestPolicyIsFoundAndKept(t *testing.T) {
	w := newWorld()
	in(t, w, t.TempDir(), func(t *testing.T, c *Cache) {
		for range 3 {
			want(t, c, "at first", "enforce 1")
		}
		if w.lookups != 1 || w.fetches != 1 {
			t.Errorf("%d lookups, %d fetches", w.lookups, w.fetches)
		}
		if p, failed := c.Policy(t.Context(), "hamburger.edu"); p != nil || failed != nil {
			t.Errorf("a domain without: %v, %v", p, failed)
		}
		time.Sleep(checkEvery)
		want(t, c, "later", "enforce 1")
		if w.lookups != 3 || w.fetches != 1 {
			t.Errorf("later: %d lookups, %d fetches", w.lookups, w.fetches)
		}
		w.set(func(w *world) {
			w.texts, w.policy = []string{"v=STSv1; id=2"}, strings.Replace(enforced, "enforce", "testing", 1)
		})
		want(t, c, "before anyone asks", "enforce 1")
		time.Sleep(checkEvery)
		want(t, c, "a new one", "testing 2")
	})
}

// Whoever can keep DNS or HTTPS from us cannot take a policy away before it
// ends, and a policy that cannot be had holds up nothing.
func TestPolicyOutlivesFailures(t *testing.T) {
	for name, broken := range map[string]func(*world){
		"DNS fails":             func(w *world) { w.dnsErr = &net.DNSError{Err: "SERVFAIL", IsTemporary: true} },
		"the record is gone":    func(w *world) { w.dnsErr = &net.DNSError{IsNotFound: true} },
		"two records":           func(w *world) { w.texts = []string{"v=STSv1; id=2", "v=STSv1; id=3"} },
		"HTTPS fails":           func(w *world) { w.texts, w.webErr = []string{"v=STSv1; id=2"}, errors.New("refused") },
		"a policy that is none": func(w *world) { w.texts, w.policy = []string{"v=STSv1; id=2"}, "mode: enforce\n" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			in(t, w, t.TempDir(), func(t *testing.T, c *Cache) {
				want(t, c, "at first", "enforce 1")
				w.set(broken)
				time.Sleep(checkEvery)
				if got := mode(t, c); !strings.HasPrefix(got, "enforce 1") {
					t.Errorf("got %q", got)
				}
				time.Sleep(7 * 24 * time.Hour)
				if got := mode(t, c); !strings.HasPrefix(got, "-") {
					t.Errorf("after max_age: got %q", got)
				}
			})
			fresh := newWorld()
			broken(fresh)
			in(t, fresh, t.TempDir(), func(t *testing.T, c *Cache) {
				if got := mode(t, c); !strings.HasPrefix(got, "-") {
					t.Errorf("never had one: got %q", got)
				}
				lookups := fresh.lookups
				mode(t, c)
				if fresh.lookups != lookups {
					t.Error("asked again at once")
				}
			})
		})
	}
}

func TestFailuresHaveKinds(t *testing.T) {
	for kind, broken := range map[string]func(*world){
		FetchError: func(w *world) { w.webErr = errors.New("refused") },
		Invalid:    func(w *world) { w.policy = "version: STSv2\n" },
	} {
		w := newWorld()
		broken(w)
		in(t, w, "", func(t *testing.T, c *Cache) {
			want(t, c, "broken", "- "+kind)
			w.set(func(w *world) { w.webErr, w.policy = nil, enforced })
			time.Sleep(checkEvery)
			want(t, c, "mended", "enforce 1")
		})
	}
	w := newWorld()
	w.delay = time.Hour
	in(t, w, "", func(t *testing.T, c *Cache) {
		start := time.Now()
		want(t, c, "hanging", "- "+FetchError)
		if took := time.Since(start); took != fetchTimeout {
			t.Errorf("a message waited for %v", took)
		}
	})
	w = newWorld()
	w.policy = strings.Repeat("mx: mx.crepes.fr\n", maxPolicy/10)
	in(t, w, "", func(t *testing.T, c *Cache) { want(t, c, "huge", "- "+Invalid) })
}

// Who asks stops waiting when its own time is over; the answer is for the next.
func TestPolicyGivesUp(t *testing.T) {
	w := newWorld()
	w.delay = 10 * time.Second
	in(t, w, "", func(t *testing.T, c *Cache) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p, _ := c.Policy(ctx, "crepes.fr"); p != nil {
			t.Errorf("got %v", p)
		}
		want(t, c, "with time", "enforce 1")
		if w.fetches != 1 {
			t.Errorf("%d fetches", w.fetches)
		}
	})
}

func TestPolicySurvivesRestart(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	in(t, w, dir, func(t *testing.T, c *Cache) { want(t, c, "at first", "enforce 1") })
	w.set(func(w *world) { w.dnsErr, w.webErr = errors.New("no network"), errors.New("no network") })
	in(t, w, dir, func(t *testing.T, c *Cache) { want(t, c, "after a restart", "enforce 1") })
}

// Whatever has become of the folder: mail goes on.
func TestBrokenFolder(t *testing.T) {
	for name, spoil := range map[string]func(dir, file string) error{
		"garbage": func(_, file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		"another's policy": func(_, file string) error {
			return os.WriteFile(file, []byte(`{"domain":"x.example","mode":"enforce"}`), 0o600)
		},
		"a folder for a file":   func(_, file string) error { os.Remove(file); return os.Mkdir(file, 0o700) },
		"a file for the folder": func(dir, _ string) error { os.RemoveAll(dir); return os.WriteFile(dir, nil, 0o600) },
		"gone":                  func(dir, _ string) error { return os.RemoveAll(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := newWorld(), filepath.Join(t.TempDir(), "mta-sts")
			in(t, w, dir, func(t *testing.T, c *Cache) { want(t, c, "at first", "enforce 1") })
			if err := spoil(dir, filepath.Join(dir, "crepes.fr.json")); err != nil {
				t.Fatal(err)
			}
			in(t, w, dir, func(t *testing.T, c *Cache) {
				want(t, c, "spoiled", "enforce 1")
				c.refresh(t.Context())
			})
		})
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld()
	in(t, w, t.TempDir(), func(t *testing.T, c *Cache) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		want(t, c, "at first", "enforce 1")
		w.set(func(w *world) { w.dnsErr = errors.New("kept from us") })
		for range 10 { // far over max_age
			time.Sleep(24 * time.Hour)
			want(t, c, "in use", "enforce 1")
		}
		fetches := w.fetched()
		if fetches < 9 {
			t.Errorf("%d fetches in ten days", fetches)
		}
		time.Sleep(60 * 24 * time.Hour)
		if more := w.fetched() - fetches; more > 16 {
			t.Errorf("%d fetches of a policy that nobody used", more)
		}
		if files, _ := os.ReadDir(c.files.dir); len(files) != 0 {
			t.Errorf("%v is left", files)
		}
		cancel()
		running.Wait()
	})
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld()
	c := New(Options{LookupTXT: w.lookup, Client: &http.Client{Transport: w}, Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	for i := range maxDomains + 100 {
		c.stateOf(fmt.Sprintf("d%d.example", i))
	}
	if len(c.known) > maxDomains {
		t.Errorf("%d domains remembered", len(c.known))
	}
}
