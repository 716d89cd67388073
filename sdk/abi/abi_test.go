package abi

import (
	"errors"
	"testing"
)

func TestFunctions(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Functions {
		if seen[f.Name] {
			t.Errorf("%s stands twice in the table", f.Name)
		}
		seen[f.Name] = true
		if f.Since > Minor {
			t.Errorf("%s is from minor version %d, the table is %d", f.Name, f.Since, Minor)
		}
		if f.Result != None && f.Result != I32 && f.Result != I64 {
			t.Errorf("%s: result %d is no core type", f.Name, f.Result)
		}
		params, _ := f.Core()
		for _, k := range params {
			if k != I32 && k != I64 && k != F64 {
				t.Errorf("%s: core parameter %d is no core type", f.Name, k)
			}
		}
		if got, ok := Lookup(f.Name); !ok || got.Name != f.Name {
			t.Errorf("Lookup does not find %s", f.Name)
		}
	}
	if _, ok := Lookup("no_such_function"); ok {
		t.Error("Lookup finds a function that is not there")
	}
}

func TestCore(t *testing.T) {
	f, _ := Lookup("kv_add")
	params, results := f.Core()
	if got, want := len(params), 5; got != want { // key is two, out is one
		t.Errorf("kv_add has %d core parameters, want %d", got, want)
	}
	if len(results) != 1 || results[0] != I32 {
		t.Errorf("kv_add has results %v, want one i32", results)
	}
}

func TestErrno(t *testing.T) {
	for e, want := range map[Errno]string{OK: "ok", NotFound: "not found", Signed: "inside a signature", Loop: "would be a mail loop", -77: "error -77"} {
		if got := e.Error(); got != want {
			t.Errorf("%d is %q, want %q", int32(e), got, want)
		}
	}
	if OK.Err() != nil || Errno(3).Err() != nil {
		t.Error("what is not negative is no error")
	}
	if !errors.Is(Limit.Err(), Limit) {
		t.Error("a negative number is an error")
	}
}

func TestVerdict(t *testing.T) {
	for v, want := range map[Verdict]string{Continue: "continue", NotAgain: "not again", 8: "verdict 8", -1: "verdict -1"} {
		if got := v.String(); got != want {
			t.Errorf("%d is %q, want %q", int32(v), got, want)
		}
	}
}

func TestGrants(t *testing.T) {
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{nil, "none"},
		{[]string{"kv", "headers"}, "headers, kv"},
		{AllGrants.Words(), "headers, body, envelope, route, send, kv, dns, clock, random, folders"},
		{DefaultGrants.Words(), "headers, body, envelope, route, clock, random"},
	} {
		g, err := ParseGrants(tt.words...)
		if err != nil || g.String() != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.words, g, err, tt.want)
		}
	}
	const unknown = `unknown grant "header"; known are headers, body, envelope, route, send, kv, dns, clock, random, folders`
	if _, err := ParseGrants("kv", "header"); err == nil || err.Error() != unknown {
		t.Errorf("got %v", err)
	}
	if got := (GrantKV | GrantBody).Lacks(GrantKV | GrantDNS); got != GrantDNS {
		t.Errorf("it lacks %s", got)
	}
}

// TestSetsAreOfTheirHooks holds the bits of sets to the order of Hooks.
func TestSetsAreOfTheirHooks(t *testing.T) {
	for i, want := range map[HookSet]string{
		inLoad: HookLoad, inConnect: HookConnect, inHelo: HookHelo, inAuth: HookAuth, inMail: HookMail, inRcpt: HookRcpt, inData: HookData,
		inHeaders: HookHeaders, inMessage: HookMessage, inRoute: HookRoute, inLocal: HookLocal, inDelivery: HookDelivery, inDSN: HookDSN,
		inDisconnect: HookDisconnect,
	} {
		if got := i.Hooks(); len(got) != 1 || got[0] != want || SetOf(want) != i {
			t.Errorf("%d is %q, want %s", i, got, want)
		}
	}
	if SetOf("on_nothing") != 0 || allHooks.Has(0) || allHooks.Has(1<<15) || !allHooks.Has(Queued) {
		t.Error("a set has what it has not")
	}
}

func TestAccess(t *testing.T) {
	for _, f := range Functions {
		if f.Hooks == 0 || f.Hooks&^allHooks != 0 || f.Grant&^AllGrants != 0 {
			t.Errorf("%s: access %+v", f.Name, f.Access)
		}
	}
	f, _ := Lookup("hdr_insert")
	if !f.In(HookMessage) || f.In(HookRoute) || f.Grant != GrantHeaders {
		t.Errorf("hdr_insert: access %+v", f.Access)
	}
}

func TestVerdictIn(t *testing.T) {
	for _, tt := range []struct {
		v    Verdict
		hook string
		want bool
	}{
		{Continue, HookDisconnect, true}, {NotAgain, HookConnect, true}, {Reject, HookRcpt, true}, {Discard, HookConnect, false},
		{Defer, HookDelivery, false}, {Reject, HookDSN, false}, {Disconnect, HookRoute, false}, {-1, HookMessage, false},
		{LastVerdict + 1, HookMessage, false}, {Continue, "on_nothing", false},
	} {
		if got := tt.v.In(tt.hook); got != tt.want {
			t.Errorf("%s in %s: got %t", tt.v, tt.hook, got)
		}
	}
}
