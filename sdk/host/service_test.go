package host_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// broken is a service that answers an error always.
type broken struct{ err error }

func (b broken) Get(context.Context, string) ([]byte, error)                      { return []byte("x"), b.err }
func (b broken) Set(context.Context, string, []byte, time.Duration) error         { return b.err }
func (b broken) Delete(context.Context, string) error                             { return b.err }
func (b broken) Add(context.Context, string, int64, time.Duration) (int64, error) { return 1, b.err }
func (b broken) CompareAndSwap(context.Context, string, []byte, []byte, time.Duration) error {
	return b.err
}
func (b broken) Lookup(context.Context, uint16, string) ([]string, error) {
	return []string{"x"}, b.err
}

func TestErrorsOfServices(t *testing.T) {
	for _, tt := range []struct {
		err       error
		want, cas abi.Errno
	}{
		{nil, abi.OK, 1},
		{host.ErrNotFound, abi.NotFound, 0},
		{fmt.Errorf("add: %w", host.ErrConflict), abi.BadArg, 0},
		{host.ErrLimit, abi.Limit, abi.Limit},
		{host.ErrTimeout, abi.Timeout, abi.Timeout},
		{context.DeadlineExceeded, abi.Timeout, abi.Timeout},
		{context.Canceled, abi.Timeout, abi.Timeout},
		{host.ErrUnsupported, abi.Unsupported, abi.Unsupported},
		{errors.New("disk on fire"), abi.IO, abi.IO},
	} {
		var log []string
		c := newCall(abi.HookRcpt, func(in *host.Input) {
			in.KV, in.Resolver = broken{tt.err}, broken{tt.err}
			in.Log = func(_ abi.Level, s string) { log = append(log, s) }
		})
		_, get := c.KvGet("a")
		_, add := c.KvAdd("a", 1, 0)
		_, dns := c.DNS(1, "a.example")
		for what, got := range map[string]abi.Errno{
			"get": get, "add": add, "dns": dns, "set": c.KvSet("a", nil, 0), "del": c.KvDel("a"),
		} {
			if got != tt.want {
				t.Errorf("%v: %s is %v, want %v", tt.err, what, got, tt.want)
			}
		}
		if got := c.KvCas("a", nil, nil, 0); got != int32(tt.cas) {
			t.Errorf("%v: cas is %d, want %d", tt.err, got, tt.cas)
		}
		if told := strings.Contains(strings.Join(log, "|"), "kv_add: disk on fire"); told != (tt.want == abi.IO) {
			t.Errorf("%v: the log is %q", tt.err, log)
		}
	}
}

func TestServicesThatAreNotThere(t *testing.T) {
	c := newCall(abi.HookMessage, func(in *host.Input) { in.KV, in.Resolver, in.Metrics = nil, nil, nil })
	if _, e := c.KvGet("a"); e != abi.Unsupported {
		t.Errorf("kv: got %v", e)
	}
	if _, e := c.DNS(1, "a.example"); e != abi.Unsupported {
		t.Errorf("dns: got %v", e)
	}
	c.Counter("a", 1)
	c.Observe("a", 1)
	c.Commit() // has nobody to tell
}

func TestKVChecks(t *testing.T) {
	c := newCall(abi.HookConnect, func(in *host.Input) {
		in.KV = testcase.NewKV(nil, time.Now)
		in.Limits = host.Limits{KVKey: 4, KVValue: 5, KVCalls: 3}
	})
	for i, tt := range []struct{ got, want abi.Errno }{
		{c.KvSet("", nil, 0), abi.BadArg},
		{c.KvSet("a", nil, -1), abi.BadArg},
		{c.KvSet("abcde", nil, 0), abi.Limit},
		{c.KvSet("a", []byte("123456"), 0), abi.Limit},
		{abi.Errno(c.KvCas("a", []byte("123456"), nil, 0)), abi.Limit},
		{c.KvSet("\x00\xff", []byte("\r\n"), math.MaxInt64), abi.OK},
		{c.KvDel("a"), abi.OK},
		{abi.Errno(c.KvCas("a", nil, []byte("x"), 0)), 1},
		{c.KvDel("a"), abi.Limit}, // three calls that were good ones
	} {
		if tt.got != tt.want {
			t.Errorf("call %d: got %v, want %v", i+1, tt.got, tt.want)
		}
	}
}

func TestKVStaysWhateverHappens(t *testing.T) {
	kv := testcase.NewKV(nil, time.Now)
	c := newCall(abi.HookRcpt, func(in *host.Input) { in.KV = kv })
	c.KvSet("seen", []byte("1"), 0)
	c.Rollback()
	if kv.Values()["seen"] != "1" {
		t.Error("what a plugin remembers is gone")
	}
}

// answers is a resolver with one answer.
type answers []string

func (a answers) Lookup(context.Context, uint16, string) ([]string, error) { return a, nil }

func TestDNS(t *testing.T) {
	c := newCall(abi.HookConnect, func(in *host.Input) {
		in.Resolver = answers{"one", "two"}
		in.Limits.DNSQueries = 2
	})
	for what, name := range map[string]string{
		"empty": "", "dot": ".", "blank": "a b", "UTF-8": "b\u00fccher.example", "escape": `a\.b`, "empty label": "a..b",
		"long label": strings.Repeat("a", 64) + ".b", "long name": strings.Repeat("a.", 127) + "b", "NUL": "a\x00",
	} {
		if _, e := c.DNS(1, name); e != abi.BadArg {
			t.Errorf("%s: got %v", what, e)
		}
	}
	for _, qtype := range []int32{-1, 0, 65536} {
		if _, e := c.DNS(qtype, "a.example"); e != abi.BadArg {
			t.Errorf("type %d: got %v", qtype, e)
		}
	}
	for _, name := range []string{"_dmarc.example.org.", strings.Repeat("a.", 126) + "b"} {
		if got, e := c.DNS(16, name); got != "one\ntwo" || e != abi.OK {
			t.Errorf("%s: got %q, %v", name, got, e)
		}
	}
	if _, e := c.DNS(16, "a.example"); e != abi.Limit {
		t.Errorf("the third question: got %v", e)
	}
	for what, tt := range map[string]struct {
		records answers
		want    abi.Errno
	}{
		"none":       {nil, abi.NotFound},
		"two in one": {answers{"one\ntwo"}, abi.IO},
		"too much":   {answers{strings.Repeat("x", host.DefaultDNSOctets)}, abi.Limit},
	} {
		c := newCall(abi.HookConnect, func(in *host.Input) { in.Resolver = tt.records })
		if _, e := c.DNS(16, "a.example"); e != tt.want {
			t.Errorf("%s: got %v, want %v", what, e, tt.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	var m testcase.Metrics
	var log []string
	call := func() *host.Call {
		return newCall(abi.HookDisconnect, func(in *host.Input) {
			in.Metrics = &m
			in.Limits = host.Limits{Counters: 2, Observations: 1}
			in.Log = func(_ abi.Level, s string) { log = append(log, s) }
		})
	}
	c := call()
	for _, name := range []string{"", "A", "1a", "a-b", "a b", strings.Repeat("a", 65), "\u00e4"} {
		c.Counter(name, 1)
		c.Observe(name, 1)
	}
	c.Counter("a", -1)
	c.Observe("a", math.NaN())
	c.Observe("a", math.Inf(1))
	if len(log) != 17 {
		t.Errorf("the log is %q", log)
	}
	c.Counter("a", math.MaxInt64)
	c.Counter("a", 1)
	c.Counter("b_2", 1)
	c.Counter("c", 1)
	c.Observe("size", 0.5)
	c.Observe("size", 1.5)
	if len(log) != 19 || len(m.Lines()) != 0 {
		t.Errorf("before the end: %q, %q", log, m.Lines())
	}
	c.Commit()
	if want := []string{fmt.Sprint("counter: a=", math.MaxInt64), "counter: b_2=1", "observed: size=0.5"}; !slices.Equal(m.Lines(), want) {
		t.Errorf("got %q, want %q", m.Lines(), want)
	}
	c = call()
	c.Counter("b_2", 1)
	c.Rollback()
	if slices.Contains(m.Lines(), "counter: b_2=2") {
		t.Error("a call that failed counts")
	}
}

func TestOperations(t *testing.T) {
	c := newCall(abi.HookLoad, func(in *host.Input) { in.Limits.OperationOctets = 20 })
	for _, tt := range []struct {
		op, in, out string
		want        abi.Errno
	}{
		{"org.wasmta.address.normalize", "bob@x", "bob@x", abi.OK},
		{"org.wasmta.address.normalize", "bob@x\r\n", "", abi.BadArg},
		{"org.wasmta.address.normalize", "", "", abi.BadArg},
		{"org.wasmta.idna.to_ascii", "B\u00dcCHER.example", "xn--bcher-kva.example", abi.OK},
		{"org.wasmta.idna.to_ascii", "a..b", "", abi.BadArg},
		{"org.wasmta.idna.to_ascii", "", "", abi.BadArg},
		{"org.wasmta.idna.to_ascii", strings.Repeat("a", 21), "", abi.Limit},
		{"org.wasmta.header.addresses", "a@x (b),\r\n c@x", "a@x\nc@x", abi.OK},
		{"org.wasmta.header.addresses", "nobody:;", "", abi.OK},
		{"org.wasmta.header.addresses", "a@x, b", "", abi.BadArg},
		{"org.wasmta.header.addresses", "", "", abi.BadArg},
		{"org.wasmta.idna", "a", "", abi.Unsupported},
		{"", "a", "", abi.Unsupported},
	} {
		got, e := c.Call(tt.op, []byte(tt.in))
		if e != tt.want || e == abi.OK && string(got) != tt.out {
			t.Errorf("%s of %q: got %q, %v, want %q, %v", tt.op, tt.in, got, e, tt.out, tt.want)
		}
	}
}

func TestRecipientsBehindTheQueue(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	c := newCall(abi.HookDelivery, nil)
	for i, tt := range []struct{ got, want abi.Errno }{
		{c.RetryAt(1, at.UnixMilli()), abi.OK},
		{c.RetryAt(2, 0), abi.OK},
		{c.RetryAt(3, 0), abi.NotFound},
		{c.RetryAt(1, -1), abi.BadArg},
		{c.RetryAt(1, math.MaxInt64), abi.BadArg},
		{c.RcptReply(2, 550, "5.4.4", "Given up"), abi.OK},
		{c.RcptReply(2, 421, "", "Bye"), abi.BadArg},
		{c.RcptReply(2, 521, "", "Bye"), abi.BadArg},
		{c.RcptReply(2, 250, "", "Fine"), abi.BadArg},
		{c.RcptReply(1, 450, "", "Later"), abi.OK},
		{c.RcptReply(1, 0, "", ""), abi.OK},
		{c.RcptSet(1, "a@x"), abi.WrongStage},
	} {
		if tt.got != tt.want {
			t.Errorf("call %d: got %v, want %v", i+1, tt.got, tt.want)
		}
	}
	ch := c.Commit()
	if r := ch.Recipients[0]; !r.RetryAt.Equal(at) || r.Reply != nil || !ch.RecipientsSet {
		t.Errorf("got %+v", r)
	}
	if r := ch.Recipients[1]; !r.RetryAt.IsZero() || r.Reply == nil || r.Reply.Text != "Given up" {
		t.Errorf("got %+v", r)
	}
}

func TestOnRcptIsAboutTheLast(t *testing.T) {
	c := newCall(abi.HookRcpt, nil)
	for i, tt := range []struct{ got, want abi.Errno }{
		{c.RcptReply(1, 550, "", "No"), abi.WrongStage},
		{c.RcptReply(2, 550, "", "No"), abi.OK},
		{c.Route(1, "mx.example.net", 0, 0), abi.WrongStage},
		{c.Route(abi.AllRecipients, "mx.example.net", 0, 0), abi.OK},
		{c.RcptSet(1, "a@x"), abi.WrongStage},
		{c.RcptRemove(2), abi.WrongStage},
		{c.RcptReply(3, 550, "", "No"), abi.NotFound},
	} {
		if tt.got != tt.want {
			t.Errorf("call %d: got %v, want %v", i+1, tt.got, tt.want)
		}
	}
	rcpts := c.Commit().Recipients
	if rcpts[0].Route != nil || rcpts[0].Reply != nil || rcpts[1].Route == nil || rcpts[1].Reply == nil {
		t.Errorf("got %+v", rcpts)
	}
}
