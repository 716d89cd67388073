package fault

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// TestHarnessFindsLies has a store, or a disk, break one promise at a time. A
// harness that finds nothing then would prove nothing.
func TestHarnessFindsLies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults string
		files  func(disk.FS) disk.FS
		store  func(queue.Store) queue.Store
		want   string // the kind of violation
	}{
		{"nothing is broken", "call-power", nil, nil, ""},
		{"250 comes before the sync", "call-power", func(f disk.FS) disk.FS { return &unsynced{f} }, nil, "lost"},
		{"one message in five is not stored", "call-kill", nil, func(s queue.Store) queue.Store { return &forgetful{Store: s} }, "lost"},
		{"what an attempt came to is not stored", "call-kill", nil, func(s queue.Store) queue.Store { return &stubborn{s} }, "doubled"},
		{"the DSN is not stored", "call-kill", nil, func(s queue.Store) queue.Store { return &silent{s} }, "lost"},
		{"a refused message is stored", "call-kill", nil, func(s queue.Store) queue.Store { return &twoFaced{Store: s} }, "refused, and kept all the same"},
		{"contents are cut short", "call-kill", nil, func(s queue.Store) queue.Store { return &short{s} }, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result := &Result{}
			r := &Run{Seed: 1, Times: 12, files: tt.files, store: tt.store}
			for _, s := range callFaults() {
				if s.Name == tt.faults {
					if err := s.Inside(t.Context(), r, result); err != nil {
						t.Fatal(err)
					}
				}
			}
			kinds := map[string]int{}
			for _, v := range result.Violations {
				kind, _, _ := strings.Cut(v, ": ")
				kinds[kind]++
			}
			if result.Accepted == 0 || tt.want == "" && len(kinds) > 0 || tt.want != "" && kinds[tt.want] == 0 {
				t.Errorf("%d runs, %d messages answered 250: found %v, want %q", result.Times, result.Accepted, kinds, tt.want)
			}
		})
	}
}

// unsynced is a disk whose files are never synced.
type unsynced struct{ disk.FS }

func (f *unsynced) Open(path string, flags int) (disk.File, error) {
	file, err := f.FS.Open(path, flags)
	if err != nil {
		return nil, err
	}
	return &unsyncedFile{file}, nil
}

type unsyncedFile struct{ disk.File }

func (*unsyncedFile) Sync() error { return nil }

// forgetful does not put each fifth entry.
type forgetful struct {
	queue.Store
	puts atomic.Int64
}

func (s *forgetful) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	if s.puts.Add(1)%5 == 0 {
		return nil
	}
	return s.Store.Put(ctx, e, c, until)
}

// stubborn does not write down the end of attempts.
type stubborn struct{ queue.Store }

func (s *stubborn) Conclude(_ context.Context, e *queue.Entry, more []queue.Deposit) error {
	return nil
}
func (s *stubborn) Update(_ context.Context, e *queue.Entry) error { return nil }

// silent does not put what comes with the end of an attempt.
type silent struct{ queue.Store }

func (s *silent) Conclude(ctx context.Context, e *queue.Entry, _ []queue.Deposit) error {
	return s.Store.Conclude(ctx, e, nil)
}

// twoFaced puts each fifth entry, and says that it did not.
type twoFaced struct {
	queue.Store
	puts atomic.Int64
}

func (s *twoFaced) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	n := s.puts.Add(1)
	if n%5 == 0 {
		until = time.Time{}
	}
	err := s.Store.Put(ctx, e, c, until)
	if err == nil && n%5 == 0 {
		return context.DeadlineExceeded
	}
	return err
}

// short loses the last octets of contents.
type short struct{ queue.Store }

func (s *short) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	octets, err := mail.ReadAll(c)
	if err != nil {
		return err
	}
	return s.Store.Put(ctx, e, mail.Bytes(octets[:len(octets)-20]), time.Time{})
}
