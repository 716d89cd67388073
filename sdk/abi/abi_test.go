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
	for e, want := range map[Errno]string{OK: "ok", NotFound: "not found", Signed: "inside a signature", -77: "error -77"} {
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
