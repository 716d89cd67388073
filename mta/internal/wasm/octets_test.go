package wasm

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

// awkward are messages that other programs change in passing.
var awkward = map[string]string{
	"empty":                 "",
	"no blank line":         "Subject: hi\r\n",
	"no final line end":     "Subject: hi\r\n\r\nbody",
	"LF only":               "Subject: hi\n\nbody\n",
	"line without a colon":  "Subject: hi\r\nno colon\r\n\r\nbody\r\n",
	"begins with a blank":   " folded\r\nSubject: hi\r\n\r\nbody\r\n",
	"body only":             "\r\nbody\r\n",
	"mailbox line":          "From alice Tue Nov 24\r\nSubject: hi\r\n\r\nbody\r\n",
	"8-bit header":          "Subject: cr\xeape\r\n\r\nbody\r\n",
	"no final boundary":     "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo",
	"preamble and epilogue": "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b--\r\nepilogue\r\n",
	"nested":                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--bb--\r\n--b--\r\n",
}

// messages are the awkward ones and the corpus, if it is there.
func messages(t *testing.T) map[string]string {
	all := map[string]string{}
	for name, text := range awkward {
		all[name] = text
	}
	const corpus = "../../../../shared/corpus"
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LICENSE" || d.Name() == "README.md" {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Logf("without the corpus: %v", err)
	}
	return all
}

// looksAround is code that reads all of a message in every way.
func looksAround(m *module) [][]byte {
	var code [][]byte
	for _, f := range abi.Functions {
		switch f.Name {
		case "hdr_count", "hdr_find", "hdr_name", "hdr_value", "hdr_block", "part_first", "part_next", "part_parent",
			"part_find", "part_info", "part_flags", "part_size", "part_read", "msg_size", "msg_read":
			code = append(code, callWith(f, m.use(f.Name), 0, 8, 0)...)
			if f.Name == "part_read" || f.Name == "part_size" {
				code = append(code, callWith(f, uint32(len(m.imports)-1), 0, 8, 3)...)
			}
		}
	}
	return code
}

// edits is code that changes the message in several ways.
func edits(m *module) []byte {
	insert, remove := m.use("hdr_insert"), m.use("hdr_remove")
	newBlob, write, replace := m.use("blob_new"), m.use("blob_write"), m.use("part_replace")
	m.data = "X-A: b"
	return join(
		i32(0), i32(0), i32(0), i32(3), i32(5), i32(1), call(insert), drop,
		i32(0), i32(1), call(remove), drop,
		call(newBlob), i32(0), i32(6), call(write), drop,
		i32(0), i32(0), i32(0), i32(1), call(replace), drop)
}

// TestUntouchedContent holds that every octet is as it was after a stage that
// only looks, and after one that edits and then fails.
func TestUntouchedContent(t *testing.T) {
	rt := newRuntime(t, Options{})
	looks := module{min: 1, data: "*/*\x00\x00\x00\x00\x00"}
	looks.fn(abi.HookMessage, append(looksAround(&looks), i32(0))...)
	fails := module{min: 1}
	fails.fn(abi.HookMessage, edits(&fails), unreachable)
	looker, failer := load(t, rt, looks.bytes()), load(t, rt, fails.bytes())
	all := messages(t)
	t.Logf("%d messages", len(all))
	for name, text := range all {
		tx := transaction()
		tx.Content = mail.Bytes(text)
		check := func(after string) {
			t.Helper()
			b, err := mail.ReadAll(tx.Content)
			if err != nil || string(b) != text || tx.Content.Size() != int64(len(text)) {
				t.Errorf("%s, %s: %v, got %q, want %q", name, after, err, b, text)
			}
		}
		if _, err := looker.Handle(t.Context(), abi.HookMessage, tx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check("looked at")
		if _, err := failer.Handle(t.Context(), abi.HookMessage, tx); err == nil {
			t.Errorf("%s: got no error", name)
		}
		check("failed")
	}
}

// TestRollbackKeepsEarlierEdits holds that a stage which fails takes back its
// own edits only.
func TestRollbackKeepsEarlierEdits(t *testing.T) {
	rt := newRuntime(t, Options{})
	good := module{min: 1, data: "X-A: b"}
	insert := good.use("hdr_insert")
	good.fn(abi.HookMessage, i32(0), i32(0), i32(0), i32(3), i32(5), i32(1), call(insert), drop, i32(0))
	bad := module{min: 1}
	bad.fn(abi.HookMessage, edits(&bad), unreachable)
	first, second := load(t, rt, good.bytes()), load(t, rt, bad.bytes())
	tx := transaction()
	for n, want := range []string{"X-A: b\r\n" + letter, "X-A: b\r\nX-A: b\r\n" + letter} {
		if _, err := first.Handle(t.Context(), abi.HookMessage, tx); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Handle(t.Context(), abi.HookMessage, tx); err == nil {
			t.Error("got no error")
		}
		if b, err := mail.ReadAll(tx.Content); err != nil || string(b) != want {
			t.Errorf("round %d: got %q, %v, want %q", n, b, err, want)
		}
	}
}
