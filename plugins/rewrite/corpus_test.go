package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// everything is a configuration that does all that there is to do.
const everything = `
footer: {text: "Grüße von hamburger.edu"}
subject: {prefix: "[EXT] "}
attachments: [{extension: [exe, zip, jpg, pdf]}, {over: 20KiB, then: remove}]
mark: X-Rewritten
`

// TestCorpus holds on real mail that the plugin never fails, that it leaves a
// message in which it finds nothing more to do, and that it does nothing at
// all to what is signed.
func TestCorpus(t *testing.T) {
	const corpus = "../../../shared/corpus"
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("no corpus: ", err)
	}
	n := 0
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".md") || strings.HasSuffix(path, "LICENSE") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		checkMessage(t, path, bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages", n)
}

func checkMessage(t *testing.T, name string, message []byte) {
	t.Helper()
	once := mtatest.Run(t, mtatest.Case{Config: everything, Message: message})
	if once.Verdict != "continue" || once.LoadError != "" {
		t.Errorf("%s: %s", name, once.Text())
		return
	}
	if !bytes.Contains(bytes.ToLower(once.Message), []byte("content-type: multipart/")) {
		return // a note that became the whole message is a text, which gets a footer
	}
	twice := mtatest.Run(t, mtatest.Case{Config: everything, Message: once.Message})
	if twice.Verdict != "continue" {
		t.Errorf("%s: the second time: %s", name, twice.Text())
		return
	}
	if a, b := withoutMark(once.Message), withoutMark(twice.Message); !bytes.Equal(a, b) {
		t.Errorf("%s: the second time it did something more:\n%q\nthen\n%q", name, a, b)
	}
}

// withoutMark is a message without the field that says what was done.
func withoutMark(message []byte) []byte {
	at := bytes.Index(message, []byte("X-Rewritten:"))
	if at < 0 {
		return message
	}
	end := at + bytes.IndexByte(message[at:], '\n') + 1
	return append(bytes.Clone(message[:at]), message[end:]...)
}

// FuzzRewrite holds that no message makes the plugin fail or panic.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{
		"Subject: x\r\n\r\nHello\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: a/b; name=x.exe\r\n\r\ny\r\n--b--\r\n",
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-16\r\n\r\nx\r\n--b",
		"Content-Type: message/rfc822\r\n\r\nContent-Type: application/zip\r\n\r\nPK",
		"Content-Type: text/plain; format=flowed; charset=\"\r\n x\"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=",
		"Subject: =?utf-8?q?=0A?=\r\n\r\n", "\r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r := mtatest.Run(t, mtatest.Case{Config: everything, Message: append([]byte{}, message...)})
		if r.Verdict != "continue" {
			t.Fatalf("%q: %s", message, r.Text())
		}
	})
}

func BenchmarkRewrite(b *testing.B) {
	message, err := os.ReadFile("../../examples/messages/crepe.eml")
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]mtatest.Case{
		"letter":  {Config: `footer: {text: "Sent through hamburger.edu"}`},
		"picture": {Config: `footer: {text: "Sent through hamburger.edu"}`, Message: message},
	} {
		b.Run(name, func(b *testing.B) { mtatest.Benchmark(b, c) })
	}
}
