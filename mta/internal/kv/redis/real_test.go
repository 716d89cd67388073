package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
	"github.com/wasmta/wasmta/sdk/host"
)

func TestServer(t *testing.T) {
	suite(t, redistest.New(t, redistest.Options{Unix: true}).URL())
}

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three servers")
	}
	suite(t, redistest.NewCluster(t, redistest.Options{}, 3).URL())
}

// TestClockOfRedis: without a clock of the test's, values end by the server's.
func TestClockOfRedis(t *testing.T) {
	sp := open(t, Options{URL: redistest.New(t, redistest.Options{Unix: true}).URL()}).Space("a")
	if err := sp.Set(ctx, "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := sp.Get(ctx, "k"); string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	begun := time.Now()
	if err := sp.Set(ctx, "k", []byte("v"), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := sp.Get(ctx, "k")
		age := time.Since(begun)
		switch {
		case errors.Is(err, host.ErrNotFound):
			if age < 40*time.Millisecond {
				t.Errorf("it ended after %v", age)
			}
			return
		case err != nil || age > 10*time.Second:
			t.Fatalf("after %v: %v", age, err)
		}
	}
}

// TestFull: a Redis without room says so, and what is there can be read.
func TestFull(t *testing.T) {
	server := redistest.New(t, redistest.Options{Unix: true})
	sp := open(t, Options{URL: server.URL()}).Space("a")
	if err := sp.Set(ctx, "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Do("config", "set", "maxmemory", "1"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := sp.Set(ctx, "l", []byte("v"), 0); !errors.Is(err, ErrAway) || errors.Is(err, host.ErrLimit) {
			t.Errorf("set: %v", err)
		}
		if got, err := sp.Get(ctx, "k"); string(got) != "v" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestPaused: a server that hangs costs one call its time, and the store goes on
// where it was.
func TestPaused(t *testing.T) {
	server := redistest.New(t, redistest.Options{Unix: true})
	sp := open(t, Options{URL: server.URL(), Timeout: 200 * time.Millisecond}).Space("a")
	if _, err := sp.Add(ctx, "n", 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 10 {
		if _, err := sp.Get(ctx, "n"); !errors.Is(err, ErrAway) {
			t.Errorf("while it is paused: %v", err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("ten calls took %v", took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := sp.Get(ctx, "n")
		if err == nil {
			if string(got) != "1" {
				t.Errorf("got %q", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
