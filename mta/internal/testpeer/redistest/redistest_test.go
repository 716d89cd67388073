package redistest

import (
	"strings"
	"testing"
	"time"
)

func set(t *testing.T, s *Server, value string) {
	t.Helper()
	if _, err := s.Do("SET", "k", value); err != nil {
		t.Fatalf("set: %v", err)
	}
}

func want(t *testing.T, s *Server, value string) {
	t.Helper()
	if got, err := s.Do("GET", "k"); err != nil || got != value {
		t.Errorf("got %v, %v, want %s", got, err, value)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestServer(t *testing.T) {
	for _, unix := range []bool{false, true} {
		s := New(t, Options{Unix: unix, Config: map[string]string{"requirepass": "secret"}})
		set(t, s, "1")
		must(t, s.Save(t.TempDir()+"/old"))
		must(t, s.Kill(), s.Restart())
		want(t, s, "1") // it was synced
		must(t, s.Pause())
		answered := make(chan error)
		go func() { _, err := s.Do("SET", "k", "2"); answered <- err }()
		select {
		case err := <-answered:
			t.Errorf("a paused server answered: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		must(t, s.Resume(), <-answered)
		want(t, s, "2")
		must(t, s.Stop(), s.Wipe(), s.Restart())
		if _, err := s.Do("GET", "k"); err == nil {
			t.Error("a wiped server has its data")
		}
	}
}

func TestSetBack(t *testing.T) {
	s := New(t, Options{})
	old := t.TempDir() + "/old"
	set(t, s, "1")
	must(t, s.Save(old))
	set(t, s, "2")
	must(t, s.Kill(), s.Load(old), s.Restart())
	want(t, s, "1")
}

func TestStartFails(t *testing.T) {
	_, err := Start(Options{Config: map[string]string{"no-such-thing": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-thing") {
		t.Errorf("got %v", err)
	}
}

func TestReplicated(t *testing.T) {
	r := NewReplicated(t, Options{}, 2)
	first, err := r.Master()
	must(t, err)
	set(t, first, "1")
	if _, err := first.Do("WAIT", 2, 1000); err != nil {
		t.Fatal(err)
	}
	must(t, first.Kill(), r.Failover())
	second, err := r.Master()
	must(t, err)
	if second == first {
		t.Error("the master is the one that was killed")
	}
	want(t, second, "1")
}

func TestCluster(t *testing.T) {
	c := NewCluster(t, Options{}, 3)
	moved := 0
	for _, s := range c.Servers {
		if _, err := s.Do("SET", "k", "1"); err != nil {
			moved++
		}
	}
	if moved != 2 {
		t.Errorf("%d of 3 servers have the key elsewhere, want 2", moved)
	}
}
