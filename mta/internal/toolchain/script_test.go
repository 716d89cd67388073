package toolchain

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/bundle"
)

func TestScriptIsBuiltTheSame(t *testing.T) {
	testpeer.NeedCompiler(t, "javascript")
	files := map[string]string{"plugin.js": "export function onMessage(m) { return m.accept(); }\n"}
	var modules [2][]byte
	for i := range modules {
		var err error
		if modules[i], err = (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, files)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(modules[0], modules[1]) {
		t.Error("two builds are not equal")
	}
	for _, not := range []string{"kv_get", "send", "dns"} {
		if bytes.Contains(modules[0], []byte("\x04mta1"+string(rune(len(not)))+not)) {
			t.Errorf("the module imports %s, of which the plugin does not speak", not)
		}
	}
}

func TestScriptWithoutHook(t *testing.T) {
	testpeer.NeedCompiler(t, "javascript")
	dir := source(t, map[string]string{"plugin.js": "function onMessage(m) {}\n"})
	_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	if _, ok := errors.AsType[*BuildError](err); !ok || !strings.Contains(err.Error(), "plugin.js: the plugin has no hook") {
		t.Errorf("got %v", err)
	}
}

func TestScriptWithoutInterpreter(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(ToolsVariable, "")
	dir := source(t, map[string]string{"plugin.rb": "MTA.on_message { |m| m.accept }\n"})
	_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	missing, ok := errors.AsType[*MissingError](err)
	if !ok || missing.Install != "npm install --no-save @ruby/3.4-wasm-wasi@2.10.1" {
		t.Errorf("got %v", err)
	}
}

func TestPythonTakesItsFilesAlong(t *testing.T) {
	testpeer.NeedCompiler(t, "python")
	dir := source(t, map[string]string{
		"plugin.py": "import mta, lists.words\n", "lists/words.py": "", "lists/words.txt": "spam\n", "testdata/a.txtar": "", "README.md": "",
	})
	module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plugin.py", "lists/words.py", "lists/words.txt", "mta.py", "run.py"} {
		if b.Files[name] == nil {
			t.Errorf("the bundle has no %s", name)
		}
	}
	if len(b.Files) != 5 {
		t.Errorf("the bundle has %d files", len(b.Files))
	}
}
