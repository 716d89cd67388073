// Package queuetest has the tests that every store of the queue passes. Passing
// them is what implementing [queue.Store] means.
package queuetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// An Opener opens the store that dir names: twice the same dir, the first store
// having been closed, is the same store. A store that keeps nothing in folders
// uses dir as a name. It ends the test if it cannot.
type Opener func(t testing.TB, dir string) queue.Store

// Run runs the suite. Each test has stores of its own.
func Run(t *testing.T, open Opener) {
	run(t, open, tests)
	t.Run("random operations have the answers of a simple model", func(t *testing.T) { testModel(t, open, false) })
}

// RunLanes is the part of the suite about lanes and shards.
func RunLanes(t *testing.T, open Opener) {
	run(t, open, laneTests)
	t.Run("random operations in lanes have the answers of a simple model", func(t *testing.T) { testModel(t, open, true) })
}

var tests = map[string]func(*testing.T, *fixture){
	"an entry is as it was put, also after reopening":            testPut,
	"an ID is used once":                                         testExists,
	"contents of all sizes can be opened again and again":        testContent,
	"content that cannot be read leaves nothing behind":          testBadContent,
	"concurrent puts are all there after reopening":              testConcurrentPuts,
	"several entries are put together, durably":                  testPutAll,
	"of several entries none is put if one cannot be":            testPutNone,
	"an entry and its content are replaced, durably":             testReplace,
	"an entry that nobody is left of is replaced by others":      testReplaceByOthers,
	"what cannot be replaced stays as it is":                     testReplaceFails,
	"an attempt is concluded with what comes of it, durably":     testConclude,
	"the last recipient's end and what comes of it are one step": testConcludeLast,
	"what cannot be concluded stays as it is":                    testConcludeFails,
	"claims come by due time, and not before it":                 testClaimOrder,
	"each entry is claimed once, however many ask":               testClaimExclusive,
	"a lease lapses, and who comes back late is refused":         testLeaseLapses,
	"a lease is extended and given back":                         testExtend,
	"an entry put with a lease is its owner's":                   testPutLeased,
	"after reopening no entry stays active beyond its lease":     testReopenActive,
	"an update changes the entry, durably, and ends the lease":   testUpdate,
	"a removed entry is gone, and removing it again is no error": testRemove,
	"a held entry is left alone until it is released":            testHeld,
	"one entry can be taken, by one at a time":                   testTake,
	"lists come in pages, in the order of IDs":                   testPages,
	"filters choose": testFilters,
	"the next due time leaves out what is active or held": testNextDue,
	"counts follow the states":                            testStats,
}

func run(t *testing.T, open Opener, tests map[string]func(*testing.T, *fixture)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := &fixture{t: t, open: func() queue.Store { return open(t, dir) }}
			f.store = f.open()
			t.Cleanup(func() { f.store.Close() })
			test(t, f)
		})
	}
}

// base is when the tests take place: stores get all times from their caller. They
// keep those of the schedule and of leases to the microsecond.
var base = time.Date(2026, 3, 4, 5, 6, 7, 891000, time.UTC)

const lease = time.Minute

// A fixture is one store under test.
type fixture struct {
	t     rapid.TB
	open  func() queue.Store // again and again the same
	store queue.Store
}

var ctx = context.Background()

// reopen closes the store and opens it again.
func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.store.Close(); err != nil {
		f.t.Fatalf("close: %v", err)
	}
	f.store = f.open()
}

// id makes an ID that sorts by n. A thousand of them in a row have the same
// shard.
func id(n int) mail.QueueID {
	return mail.QueueID(fmt.Sprintf("0TEST%010d%d", n, n/1000%10))
}

// entry is the nth entry, due n seconds after base.
func entry(n int) *queue.Entry {
	return &queue.Entry{
		ID:       id(n),
		Received: base.Add(time.Duration(n) * time.Second),
		Due:      base.Add(time.Duration(n) * time.Second),
		Size:     int64(len(text)),
		Client:   mail.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234"), Helo: "crepes.fr", Listener: mail.ListenerSMTP, Extended: true},
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients: []mail.Recipient{
				{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}, Original: mail.Path{Local: "Bob", Domain: "hamburger.edu"}, Notify: mail.NotifyFailure},
				{Path: mail.Path{Local: "a b", Domain: "example.org"}, ORCPT: "rfc822;x@example.org", Route: &mail.NextHop{Host: "mx.example", Port: 26}},
			},
			Body:  mail.Body8Bit,
			EnvID: "env 1",
		},
	}
}

const text = "Subject: hello\r\n\r\nWorld\r\n"

// put stores an entry that nobody has a lease of.
func (f *fixture) put(e *queue.Entry) {
	f.t.Helper()
	if err := f.store.Put(ctx, e, mail.Bytes(text), time.Time{}); err != nil {
		f.t.Fatalf("put %s: %v", e.ID, err)
	}
}

func (f *fixture) get(id mail.QueueID) *queue.Entry {
	f.t.Helper()
	e, err := f.store.Get(ctx, id)
	if err != nil {
		f.t.Fatalf("get %s: %v", id, err)
	}
	return e
}

func (f *fixture) claim(now time.Time, max int) []*queue.Entry {
	f.t.Helper()
	entries, err := f.store.Claim(ctx, now, now.Add(lease), max, nil)
	if err != nil {
		f.t.Fatalf("claim: %v", err)
	}
	return entries
}

// claimOne claims what must be the only entry that is due.
func (f *fixture) claimOne(now time.Time) *queue.Entry {
	f.t.Helper()
	entries := f.claim(now, 10)
	if len(entries) != 1 {
		f.t.Fatalf("claimed %v, want one entry", ids(entries))
	}
	return entries[0]
}

func (f *fixture) take(id mail.QueueID, now time.Time) *queue.Entry {
	f.t.Helper()
	e, err := f.store.Take(ctx, id, now, now.Add(lease))
	if err != nil {
		f.t.Fatalf("take %s: %v", id, err)
	}
	return e
}

func (f *fixture) update(e *queue.Entry) {
	f.t.Helper()
	if err := f.store.Update(ctx, e); err != nil {
		f.t.Fatalf("update %s: %v", e.ID, err)
	}
}

func (f *fixture) remove(e *queue.Entry) {
	f.t.Helper()
	if err := f.store.Remove(ctx, e); err != nil {
		f.t.Fatalf("remove %s: %v", e.ID, err)
	}
}

func (f *fixture) list(now time.Time, filter queue.Filter, after mail.QueueID, max int) []mail.QueueID {
	f.t.Helper()
	entries, err := f.store.List(ctx, now, filter, after, max)
	if err != nil {
		f.t.Fatalf("list: %v", err)
	}
	return ids(entries)
}

func (f *fixture) octets(id mail.QueueID) []byte {
	f.t.Helper()
	c, err := f.store.Content(ctx, id)
	if err != nil {
		f.t.Fatalf("content of %s: %v", id, err)
	}
	octets, err := mail.ReadAll(c)
	if err != nil {
		f.t.Fatalf("content of %s: %v", id, err)
	}
	if int64(len(octets)) != c.Size() {
		f.t.Fatalf("content of %s has %d octets and says it has %d", id, len(octets), c.Size())
	}
	return octets
}

func ids(entries []*queue.Entry) []mail.QueueID {
	out := []mail.QueueID{}
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

func numbered(from, to int) []mail.QueueID {
	out := []mail.QueueID{}
	for n := from; n <= to; n++ {
		out = append(out, id(n))
	}
	return out
}

// same compares entries, but for their leases.
func (f *fixture) same(got, want *queue.Entry) {
	f.t.Helper()
	g, w := *got, *want
	g.Lease, w.Lease = queue.Lease{}, queue.Lease{}
	if diff := cmp.Diff(&w, &g, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		f.t.Errorf("entry %s is not as it was put (-want +got):\n%s", want.ID, diff)
	}
}

func wantErr(t rapid.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func wantIDs(t rapid.TB, what string, got, want []mail.QueueID) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// brokenContent fails in the middle.
type brokenContent int64

func (c brokenContent) Size() int64 { return int64(c) }

func (c brokenContent) Open() (io.ReadCloser, error) {
	half := bytes.NewReader(make([]byte, c/2))
	return io.NopCloser(io.MultiReader(half, failing{})), nil
}

type failing struct{}

var errBroken = errors.New("broken on purpose")

func (failing) Read([]byte) (int, error) { return 0, errBroken }
