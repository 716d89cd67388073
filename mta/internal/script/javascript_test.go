package script

import (
	"os"
	"strings"
	"testing"
)

const (
	quickJSPackage = "quickjs-wasi@3.6.2"
	quickJSFile    = "quickjs-wasi/quickjs.wasm"
)

func javaScript(t testing.TB, source string) []byte {
	t.Helper()
	module, err := JavaScript(interpreter(t, quickJSPackage, quickJSFile), source)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestJavaScript(t *testing.T) {
	source, err := os.ReadFile("../../../sdk/conformance/filters/javascript/plugin.js")
	if err != nil {
		t.Fatal(err)
	}
	p, log := load(t, javaScript(t, string(source)), `{"stamp":{"name":"X-A","value":"b é"},"tag":"[é]"}`)
	for range 3 {
		tx, _ := handle(t, p, log)
		got := content(t, tx)
		if !strings.HasPrefix(got, "X-A: b =?utf-8?") || !strings.Contains(got, "Subject: =?utf-8?") {
			t.Errorf("got %q", got)
		}
	}
}

func BenchmarkJavaScript(b *testing.B) {
	p, log := load(b, javaScript(b, `export function onMessage(m) { m.headers.prepend("X-Seen", "yes"); }`), `{}`)
	for b.Loop() {
		handle(b, p, log)
	}
}
