package mta_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExports builds a plugin: what it imports of the packages of hooks is what
// its module exports, and of the ABI it imports what it uses.
func TestExports(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a plugin")
	}
	file := filepath.Join(t.TempDir(), "greylist.wasm")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-buildmode=c-shared", "-o", file, "./testdata/greylist")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const exports = 7 // the section's number
	names := namesIn(section(t, module, exports))
	hooks := slices.DeleteFunc(names, func(s string) bool { return !strings.HasPrefix(s, "on_") })
	slices.Sort(hooks)
	if want := []string{"on_load", "on_message", "on_rcpt"}; !slices.Equal(hooks, want) {
		t.Errorf("exports %q, want %q", hooks, want)
	}
	for function, want := range map[string]bool{"kv_add": true, "rcpt_at": true, "kv_get": false, "hdr_find": false, "now_ms": false} {
		const imports = 2
		if got := bytes.Contains(section(t, module, imports), []byte(function)); got != want {
			t.Errorf("imports %s: %t, want %t", function, got, want)
		}
	}
}

// section is the content of a module's section of that number.
func section(t *testing.T, module []byte, number byte) []byte {
	t.Helper()
	for b := module[8:]; len(b) > 0; {
		id := b[0]
		size, n := binary.Uvarint(b[1:])
		body := b[1+n : 1+n+int(size)]
		if id == number {
			return body
		}
		b = b[1+n+int(size):]
	}
	t.Fatalf("no section %d", number)
	return nil
}

// namesIn are the names in a section of exports.
func namesIn(b []byte) []string {
	count, n := binary.Uvarint(b)
	b = b[n:]
	var names []string
	for range count {
		size, n := binary.Uvarint(b)
		names = append(names, string(b[n:n+int(size)]))
		b = b[n+int(size)+1:] // and what kind it is
		_, n = binary.Uvarint(b)
		b = b[n:]
	}
	return names
}
