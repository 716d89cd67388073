package host_test

import (
	"bytes"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/mimetree"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// harmless are parameters that a function takes in every hook it has; those
// that are not here take zeros.
var harmless = map[string][]int64{
	"note_get":   {2, 0, 1, 0, 0},
	"note_set":   {2, 0, 1, 0, 1},
	"part_read":  {0, 1, 0, 0, 0},
	"rcpt_at":    {1},
	"rcpt_set":   {2, 0, 1},
	"rcpt_get":   {2, 0, 0, 0},
	"rcpt_reply": {2, 550, 0, 0, 0, 0},
	"route":      {2, 0, 1, 0, 0},
	"deliver":    {2, 0, 0, 0, 0, 0, 0},
	"retry_at":   {2, 0},
}

// TestAccess calls every function in every hook, with its grants and without:
// it must answer as the table of the ABI says.
func TestAccess(t *testing.T) {
	for _, f := range abi.Functions {
		if f.Result == abi.None {
			continue // it has nothing to answer with
		}
		for _, hook := range abi.Hooks {
			for _, grants := range []abi.Grant{0, f.Grant} {
				got := callIn(t, f, hook, grants)
				want := abi.OK
				switch {
				case !f.In(hook):
					want = abi.WrongStage
				case grants.Lacks(f.Grant) != 0:
					want = abi.NotGranted
				}
				refused := got == int64(abi.WrongStage) || got == int64(abi.NotGranted)
				if isNote := f.Name == "note_get" || f.Name == "note_set"; isNote && f.In(hook) {
					continue // its scopes have hooks of their own: see TestNoteScopes
				}
				if refused != (want != abi.OK) || refused && got != int64(want) {
					t.Errorf("%s in %s with %s: got %d, want %v", f.Name, hook, grants, got, want)
				}
			}
		}
	}
}

// callIn calls a function in a hook of its own.
func callIn(t *testing.T, f abi.Function, hook string, grants abi.Grant) int64 {
	t.Helper()
	g := &guest{call: newCall(hook, func(in *host.Input) { in.Grants = grants })}
	g.memory[0] = 'a'
	args := harmless[f.Name]
	if args == nil {
		params, _ := f.Core()
		args = make([]int64, len(params))
	}
	got, err := g.do(f, args)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// newCall is a call about a small message, with everything there.
func newCall(hook string, change func(*host.Input)) *host.Call {
	in := host.Input{
		Hook: hook, Grants: abi.AllGrants, Sender: "alice@crepes.fr",
		Recipients: []host.Recipient{{Address: "bob@hamburger.edu"}, {Address: "carol@hamburger.edu"}},
		Open:       func() (host.Message, error) { return parse("Subject: x\r\n\r\nbody\r\n"), nil },
		KV:         testcase.NewKV(nil, nil), Resolver: testcase.DNS{}, Metrics: &testcase.Metrics{},
	}
	if change != nil {
		change(&in)
	}
	return host.New(in)
}

func parse(octets string) host.Message {
	return host.Tree(mimetree.Parse(bytes.NewReader([]byte(octets)), mimetree.Limits{}))
}

func TestNoteScopes(t *testing.T) {
	in := map[int32]abi.HookSet{
		abi.ScopeConnection:  abi.Sessions,
		abi.ScopeTransaction: abi.Incoming,
		abi.ScopeQueued:      abi.Incoming | abi.Queued,
	}
	for scope, hooks := range in {
		for _, hook := range abi.Hooks {
			c := newCall(hook, nil)
			want := abi.OK
			if !hooks.Has(abi.SetOf(hook)) {
				want = abi.WrongStage
			}
			if got := c.NoteSet(scope, "a", "b"); got != want {
				t.Errorf("set, scope %d in %s: got %v, want %v", scope, hook, got, want)
			}
			if v, got := c.NoteGet(scope, "a"); got != want || got == abi.OK && v != "b" {
				t.Errorf("get, scope %d in %s: got %q, %v, want %v", scope, hook, v, got, want)
			}
		}
	}
	c := newCall(abi.HookMessage, func(in *host.Input) {
		in.SessionNotes, in.Notes, in.QueuedNotes = map[string]string{"a": "0"}, map[string]string{"a": "1"}, map[string]string{"a": "2"}
	})
	for scope, want := range []string{"0", "1", "2"} {
		if got, _ := c.NoteGet(int32(scope), "a"); got != want {
			t.Errorf("scope %d: got %q", scope, got)
		}
	}
	c.NoteSet(abi.ScopeQueued, "b", "3")
	ch := c.Commit()
	if ch.SessionNotes != nil || ch.Notes != nil || len(ch.QueuedNotes) != 2 {
		t.Errorf("got %v, %v, %v", ch.SessionNotes, ch.Notes, ch.QueuedNotes)
	}
}

func TestAfterTheQueue(t *testing.T) {
	c := newCall(abi.HookMessage, func(in *host.Input) { in.AfterQueue = true })
	for what, got := range map[string]abi.Errno{
		"session's note":     c.NoteSet(abi.ScopeConnection, "a", "b"),
		"transaction's note": c.NoteSet(abi.ScopeTransaction, "a", "b"),
	} {
		if got != abi.WrongStage {
			t.Errorf("%s: got %v", what, got)
		}
	}
	if e := c.NoteSet(abi.ScopeQueued, "a", "b"); e != abi.OK {
		t.Errorf("queued note: got %v", e)
	}
	if got := c.VariantNew([]int32{1}); got != 1 {
		t.Errorf("variant: got %d", got)
	}
}

// TestHeadersOfParts holds that a part's header section is a piece of the body
// of the message, for who may see that and when.
func TestHeadersOfParts(t *testing.T) {
	nested := func(in *host.Input) {
		m := parse("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-A: b\r\n\r\nbody\r\n--b--\r\n")
		m.PartFirst(abi.Root)
		in.Open = func() (host.Message, error) { return m, nil }
	}
	headersOnly := newCall(abi.HookMessage, func(in *host.Input) { nested(in); in.Grants = abi.GrantHeaders })
	early := newCall(abi.HookHeaders, nested)
	bodyOnly := newCall(abi.HookMessage, func(in *host.Input) { nested(in); in.Grants = abi.GrantBody })
	later := newCall(abi.HookLocal, nested)
	buf := make([]byte, 100)
	for _, tt := range []struct {
		what      string
		got, want abi.Errno
	}{
		{"read without body", abi.Errno(headersOnly.HdrCount(1)), abi.NotGranted},
		{"edit without body", headersOnly.HdrRemove(1, 0), abi.NotGranted},
		{"read the message's own", min(abi.Errno(headersOnly.HdrCount(0)), 0), abi.OK},
		{"read in on_headers", abi.Errno(early.HdrCount(1)), abi.WrongStage},
		{"edit in on_headers", early.HdrSet(1, 0, "c"), abi.WrongStage},
		{"edit the message's own in on_headers", early.HdrInsert(0, -1, "X-A", "c"), abi.OK},
		{"read an entity without headers", abi.Errno(bodyOnly.PartRead(1, abi.ReadRaw, 0, buf)), abi.NotGranted},
		{"read a body without headers", min(abi.Errno(bodyOnly.PartRead(1, abi.ReadBody, 0, buf)), 0), abi.OK},
		{"read behind the queue", min(abi.Errno(later.HdrCount(1)), 0), abi.OK},
		{"edit behind the queue", later.HdrRemove(1, 0), abi.WrongStage},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}

func TestVerdictsOfHooks(t *testing.T) {
	for _, hook := range abi.Hooks {
		for v := abi.Verdict(-1); v <= abi.LastVerdict+1; v++ {
			answer, err := newCall(hook, nil).Answer(int32(v))
			if (err == nil) != v.In(hook) || err == nil && answer.Verdict != v {
				t.Errorf("%s returned %s: got %v, %v", hook, v, answer, err)
			}
		}
	}
}
