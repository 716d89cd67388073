package host

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

func TestLimits(t *testing.T) {
	in := input(newFake())
	in.Limits = Limits{FieldOctets: 10, FieldsAdded: 2, HeaderOctets: 15, BlobOctets: 5, Blobs: 2,
		PartsAdded: 1, RecipientsAdded: 1, NotesOctets: 10, NoteKey: 3, ReasonOctets: 4, RandomOctets: 8}
	c := New(in)
	want := func(what string, got, want abi.Errno) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	want("long field", c.HdrInsert(0, 0, "X", "1234567890"), abi.Limit)
	want("first field", c.HdrInsert(0, 0, "X", "1"), abi.OK)
	want("second field", c.HdrInsert(0, 0, "X", "2"), abi.OK)
	want("third field", c.HdrInsert(0, 0, "X", "3"), abi.Limit)
	want("setting is not adding", c.HdrSet(0, 0, "123456789"), abi.OK)
	want("too much in all", c.HdrSet(0, 0, "1234"), abi.Limit)
	blob := c.BlobNew()
	c.BlobNew()
	want("third blob", abi.Errno(c.BlobNew()), abi.Limit)
	want("blob", c.BlobWrite(blob, []byte("12345")), abi.OK)
	want("full blob", c.BlobWrite(blob, []byte("6")), abi.Limit)
	want("no such blob", c.BlobWrite(7, nil), abi.NotFound)
	want("part", min(abi.Errno(c.PartInsert(0, 0, "text/plain", "", blob)), 0), abi.OK)
	want("second part", abi.Errno(c.PartWrap(0, "multipart/mixed")), abi.Limit)
	want("recipient", min(abi.Errno(c.RcptAdd("a@b.c")), 0), abi.OK)
	want("second recipient", abi.Errno(c.RcptAdd("d@e.f")), abi.Limit)
	want("notes", c.NoteSet(abi.ScopeTransaction, "a", "12"), abi.OK)
	want("more notes", c.NoteSet(abi.ScopeTransaction, "b", "12"), abi.Limit)
	want("note in the same place", c.NoteSet(abi.ScopeTransaction, "a", "1"), abi.OK)
	want("long key", c.NoteSet(abi.ScopeTransaction, "abcd", ""), abi.BadArg)
	want("reason", c.Quarantine("12345"), abi.Limit)
	want("random", abi.Errno(c.Random(make([]byte, 9))), abi.Limit)
	want("long reply", c.Reply(550, "", strings.Repeat("x", MaxReplyText+1)), abi.Limit)
}

// TestEditsAreBounded holds that what an edit replaces, and is kept to be put
// back, does not pile up.
func TestEditsAreBounded(t *testing.T) {
	in := input(newFake("Subject: hi"))
	in.Limits = Limits{EditOctets: 10, Edits: 5}
	c := New(in)
	blob := c.BlobNew()
	c.BlobWrite(blob, []byte("1234"))
	for i, want := range []abi.Errno{abi.OK, abi.OK, abi.Limit} {
		if got := c.PartReplace(0, "", blob); got != want {
			t.Errorf("replacement %d: got %v, want %v", i, got, want)
		}
	}
	for i, want := range []abi.Errno{abi.OK, abi.OK, abi.OK, abi.Limit} {
		if got := c.HdrSet(0, 0, ""); got != want {
			t.Errorf("setting %d: got %v, want %v", i, got, want)
		}
	}
}

func TestBlobsAreCopied(t *testing.T) {
	f := newFake()
	c := New(input(f))
	b := c.BlobNew()
	buf := []byte("one")
	c.BlobWrite(b, buf)
	c.PartReplace(0, "", b)
	copy(buf, "two")
	c.BlobWrite(b, []byte(" more"))
	if got := f.now().body; got != "one" {
		t.Errorf("got %q", got)
	}
}

func TestLog(t *testing.T) {
	in := input(nil)
	in.Limits.LogOctets = 20
	in.Level = abi.LevelInfo
	var lines []string
	in.Log = func(_ abi.Level, s string) { lines = append(lines, s) }
	c := New(in)
	c.Log(abi.LevelDebug, "not wanted")
	c.Log(99, "no level")
	c.Log(abi.LevelInfo, "one")
	for range 100 {
		c.Log(abi.LevelWarn, "a longer line")
	}
	if got, want := strings.Join(lines, "|"), "one|a longer line|this call's log is full, the rest of it is dropped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoTimeForMuch refuses to begin what cannot be stopped and would not be
// done before the call's time ends.
func TestNoTimeForMuch(t *testing.T) {
	for _, tt := range []struct {
		left   time.Duration
		octets int
		want   abi.Errno
	}{
		{time.Hour, 8 << 20, abi.OK},
		{time.Millisecond, 8 << 20, abi.Timeout},
		{0, 8 << 20, abi.Timeout},
		{0, 1000, abi.OK},
	} {
		// The clock of a bubble stands still while the host works.
		synctest.Test(t, func(t *testing.T) {
			in := input(newFake("Subject: hi"))
			c := New(in)
			blob := c.BlobNew()
			if got := c.BlobWrite(blob, bytes.Repeat([]byte("a\r\n"), tt.octets/3)); got != abi.OK {
				t.Fatal(got)
			}
			ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(tt.left))
			defer cancel()
			c.in.Ctx = ctx
			if got := c.PartReplace(0, "", blob); got != tt.want {
				t.Errorf("replace by %d octets with %v left: got %v, want %v", tt.octets, tt.left, got, tt.want)
			}
			if got := c.MsgReplace(blob); got != tt.want {
				t.Errorf("message of %d octets with %v left: got %v, want %v", tt.octets, tt.left, got, tt.want)
			}
			more := c.BlobNew()
			if got := c.BlobWrite(more, make([]byte, tt.octets)); got != tt.want {
				t.Errorf("write %d octets with %v left: got %v, want %v", tt.octets, tt.left, got, tt.want)
			}
		})
	}
}
