package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A server that was stopped while Redis was away left in its spool what an attempt
// came to. That is not the message: the move brings the message, and the result.
func TestMoveMeetsWhatTheSpoolKnowsOfRedis(t *testing.T) {
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	url := redistest.New(t, redistest.Options{}).URL()
	cfg := moveConfig(t, "spool")
	there, err := redis.Open(redis.Options{URL: url, Durability: redis.Relaxed, Prefix: "mta", Node: "other", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := &queue.Entry{ID: mail.NewQueueID(now), Received: now, Due: now, Size: 5}
	e.Envelope.Recipients = []mail.Recipient{{}, {}}
	if err := there.Put(ctx, e, mail.Bytes("hello"), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	spool, err := openSpool(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	result := *e
	result.Twin, result.Held, result.Lease = &queue.Twin{Kind: "result", Token: e.Lease.Token}, "it is written to Redis", queue.Lease{}
	result.Attempts, result.Due = 1, now.Add(time.Hour)
	result.Envelope.Recipients = e.Envelope.Recipients[:1]
	if err := spool.Put(ctx, &result, mail.Bytes(nil), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(spool.Close(), there.Close()); err != nil {
		t.Fatal(err)
	}
	marks := filepath.Join(cfg.State, marksFile)
	if err := os.WriteFile(marks, []byte(`{"redis":"`+there.Place()+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}

	moved, err := MoveQueue(ctx, cfg, url, "mta", log, nil)
	if err != nil || moved.Entries != 1 {
		t.Fatalf("%+v, %v", moved, err)
	}
	if spool, err = openSpool(cfg, log); err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	got, err := spool.Get(ctx, e.ID)
	if err != nil || got.Twin != nil || got.Held != "" || got.Attempts != 1 || len(got.Envelope.Recipients) != 1 {
		t.Fatalf("moved as %+v, %v", got, err)
	}
	content, err := spool.Content(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if octets, err := mail.ReadAll(content); string(octets) != "hello" || err != nil {
		t.Errorf("the content is %q, %v", octets, err)
	}
	if _, err := os.Stat(marks); err == nil {
		t.Error("what is known of the Redis that was moved from is still there")
	}
}

// What only another Redis can decide is not left to this one.
func TestMoveAsksTheRightRedis(t *testing.T) {
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	cfg := moveConfig(t, redistest.New(t, redistest.Options{}).URL())
	spool, err := openSpool(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := &queue.Entry{ID: mail.NewQueueID(now), Received: now, Due: now, Held: "in doubt", Twin: &queue.Twin{Kind: "doubt"}}
	e.Envelope.Recipients = []mail.Recipient{{}}
	if err := errors.Join(spool.Put(ctx, e, mail.Bytes("hello"), time.Time{}), spool.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.State, marksFile), []byte(`{"redis":"redis://192.0.2.1:6379 mta"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if moved, err := MoveQueue(ctx, cfg, "spool", "mta", log, nil); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("%+v, %v", moved, err)
	}
}

func moveConfig(t *testing.T, store string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	text := "hostname: a.test\nstate: " + filepath.Join(t.TempDir(), "var") + "\nqueue: {store: \"" + store + "\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, findings := LoadConfig(file)
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	if err := makeFolders(cfg.State); err != nil {
		t.Fatal(err)
	}
	return cfg
}
