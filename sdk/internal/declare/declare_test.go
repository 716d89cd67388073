package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingDrifts holds that each SDK has the functions and the numbers of
// package abi.
func TestNothingDrifts(t *testing.T) {
	s, err := readSurface("../../abi")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		file := filepath.Join("../..", target.file)
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		now, err := target.replace(old, s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, now) {
			t.Errorf("%s is not what sdk/abi says: run `go generate ./sdk`", target.file)
		}
		for _, f := range s.functions {
			if target.file != "assemblyscript/numbers.ts" && !bytes.Contains(now, []byte(f.Name)) {
				t.Errorf("%s does not declare %s", target.file, f.Name)
			}
		}
	}
}

func TestReplaceNeedsAPlace(t *testing.T) {
	for _, file := range []string{"", "// " + begin + "\n", "// " + end + "\n"} {
		if _, err := targets[0].replace([]byte(file), &surface{}); err == nil {
			t.Errorf("%q: no error", file)
		}
	}
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"NotFound": "not_found", "IO": "io", "RouteNoMX": "route_no_mx", "RcptORCPT": "rcpt_orcpt", "PartContentID": "part_content_id",
		"OK": "ok", "Root": "root", "TLSOnly": "tls_only",
	} {
		if got := strings.Join(words(name), "_"); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
