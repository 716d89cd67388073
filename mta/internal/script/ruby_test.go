package script

import (
	"os"
	"strings"
	"testing"
)

const (
	rubyPackage = "@ruby/3.4-wasm-wasi@2.10.1"
	rubyFile    = "@ruby/3.4-wasm-wasi/dist/ruby.wasm"
)

// rubyModule makes a plugin with all grants, so that all of them are the same
// code: to compile it takes a minute and a half under the race detector.
func rubyModule(t testing.TB, source string) []byte {
	t.Helper()
	source += "\n# mta: grants " + strings.Join(everything, ", ") + "\n"
	module, err := Ruby(interpreter(t, rubyPackage, rubyFile), map[string][]byte{"plugin.rb": []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestRuby(t *testing.T) {
	source, err := os.ReadFile("../../../sdk/conformance/filters/ruby/plugin.rb")
	if err != nil {
		t.Fatal(err)
	}
	p, log := load(t, rubyModule(t, string(source)), `{"stamp":{"name":"X-A","value":"b é"},"tag":"[é]"}`)
	for range 3 {
		tx, _ := handle(t, p, log)
		got := content(t, tx)
		if !strings.HasPrefix(got, "X-A: b =?utf-8?") || !strings.Contains(got, "Subject: =?utf-8?") {
			t.Errorf("got %q", got)
		}
	}
}

func BenchmarkRuby(b *testing.B) {
	p, log := load(b, rubyModule(b, `MTA.on_message { |m| m.headers.prepend("X-Seen", "yes") }`), `{}`)
	for b.Loop() {
		handle(b, p, log)
	}
}
