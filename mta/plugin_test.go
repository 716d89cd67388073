package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/sdk/templates"
)

func TestPluginBuildAndInspect(t *testing.T) {
	hello := filepath.Join(repository(t), "examples/hello")
	folder(t, map[string]string{
		"pipeline.yaml":  smallFile + "plugins: {hello: hello.wasm}\npipeline: [{plugin: hello}]\n",
		"broken/go.mod":  "module example.org/broken\n\ngo 1.24\n",
		"broken/main.go": "package main\n\nfunc main() {\n\tx := 1\n}\n",
		"text.wasm":      "no module",
	})
	code, out, errs := mta("", "plugin", "build", hello)
	if code != 0 || !strings.HasPrefix(out, "hello.wasm: ") || !strings.Contains(out, " octets, sha256:") {
		t.Fatalf("build: code %d\n%s%s", code, out, errs)
	}
	_, hash, _ := strings.Cut(strings.TrimSpace(out), "sha256:")
	var info struct {
		Size          int
		SHA256, Mode  string
		Hooks, Grants []string
		Default       bool
		Imports       map[string][]string
	}
	code, out, errs = mta("", "plugin", "inspect", "hello.wasm", "--json")
	if err := json.Unmarshal([]byte(out), &info); err != nil || code != 0 || info.SHA256 != hash || fmt.Sprintf("%v %v %v %v", info.Hooks, info.Grants, info.Default, info.Mode) != "[on_message] [headers] true native" || len(info.Imports["mta1"]) == 0 {
		t.Errorf("inspect --json: code %d, %v\n%s%s", code, err, out, errs)
	}
	if code, out, errs = mta("", "plugin", "inspect", "hello.wasm"); code != 0 || !strings.Contains(out, "hooks     on_message\ngrants    headers (as every stage has them)\n") || !strings.Contains(out, hash) {
		t.Errorf("inspect: code %d\n%s%s", code, out, errs)
	}
	if code, out, errs = mta("", "plugin", "inspect", hello); code != 0 || !strings.Contains(out, hash) {
		t.Errorf("inspect of the folder: code %d, another module\n%s%s", code, out, errs)
	}
	if code, out, errs = mta("", "check"); code != 0 {
		t.Errorf("check of a file with the built module: code %d\n%s%s", code, out, errs)
	}
	for args, want := range map[string]string{
		"build broken":      "main.go:4:2: declared and not used: x\n",
		"build nowhere":     "no such file",
		"inspect text.wasm": "text.wasm is no plugin: ",
		"inspect nowhere":   "no such file",
	} {
		if code, out, errs := mta("", append([]string{"plugin"}, strings.Fields(args)...)...); code == 0 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("plugin %s: code %d\n%s%s", args, code, out, errs)
		}
	}
}

// TestANewPluginBuildsAndPassesItsTest does what `mta plugin new` tells people to
// do, for each language, without a network and in a folder far from here.
func TestANewPluginBuildsAndPassesItsTest(t *testing.T) {
	for _, lang := range templates.Languages {
		t.Run(lang.Name, func(t *testing.T) {
			testpeer.NeedCompiler(t, lang.Name)
			folder(t, nil)
			t.Setenv("GOPROXY", "off")
			began := time.Now()
			code, out, errs := mta("", "plugin", "new", "--lang", lang.Name, "sub/greeting")
			if code != 0 || !strings.Contains(out, "mta test sub/greeting\n") || !strings.Contains(out, "  README.md\n") {
				t.Fatalf("new: code %d\n%s%s", code, out, errs)
			}
			if code, out, errs := mta("", "test", "sub/greeting"); code != 0 || !strings.Contains(out, "ok") {
				t.Errorf("test: code %d\n%s%s", code, out, errs)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if code, _, errs := mta("", "plugin", "new", "--lang", lang.Name, "sub/greeting"); code != 1 || errs != "mta: sub/greeting is there already; choose another name, or remove it\n" {
				t.Errorf("again: code %d: %s", code, errs)
			}
		})
	}
}

func TestPluginNewRefuses(t *testing.T) {
	dir := folder(t, nil)
	names := strings.Join(languageNames(), ", ")
	for args, want := range map[string]string{
		"--lang og x":    `mta: --lang: "og" is not known; write "go", or one of ` + names + "\n",
		"--lang cobol x": `mta: --lang: "cobol" is not known; languages are ` + names + "\n",
		"--lang go X":    `mta: a plugin cannot be called "X": `,
		"--lang go ..":   "mta: a plugin cannot be called ",
		"x":              "mta: missing flags: --lang=LANG; see `mta plugin new --help`\n",
	} {
		if code, out, errs := mta("", append([]string{"plugin", "new"}, strings.Fields(args)...)...); code != 2 || out != "" || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: code %d\ngot  %s%swant %s", args, code, out, errs, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}

func TestPluginLock(t *testing.T) {
	const text = smallFile + "plugins:\n  a: a.wasm   # mine\n  b: {path: b.wasm}\npipeline: []\n"
	dir := folder(t, map[string]string{"pipeline.yaml": text, "a.wasm": "\x00asm\x01\x00\x00\x00", "b.wasm": "\x00asm\x01\x00\x00\x00\x00\x02\x01x"})
	const hashA = "93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"
	code, out, errs := mta("", "plugin", "lock", "--check")
	if code != 1 || !strings.HasPrefix(out, "a: has no hash in pipeline.yaml; it is sha256:"+hashA+"\nb: has no hash") {
		t.Fatalf("check: code %d\n%s%s", code, out, errs)
	}
	read := func() string {
		b, err := os.ReadFile(filepath.Join(dir, "pipeline.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if read() != text {
		t.Error("--check changed the file")
	}
	if code, out, errs = mta("", "plugin", "lock"); code != 0 || !strings.HasPrefix(out, "a: sha256:"+hashA+"\nb: sha256:") {
		t.Fatalf("lock: code %d\n%s%s", code, out, errs)
	}
	locked := read()
	if !strings.Contains(locked, "  a: {path: a.wasm, sha256: "+hashA+"}   # mine\n  b: {path: b.wasm, sha256: ") {
		t.Errorf("the file is\n%s", locked)
	}
	if code, out, errs = mta("", "plugin", "lock", "--check"); code != 0 || strings.Count(out, ", as it was\n") != 2 {
		t.Errorf("check of a locked file: code %d\n%s%s", code, out, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.wasm"), []byte("\x00asm\x01\x00\x00\x00\x00\x02\x01y"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = mta("", "plugin", "lock", "--check", "--json")
	var pins []daemon.Pin
	if err := json.Unmarshal([]byte(out), &pins); err != nil || code != 1 || len(pins) != 2 || !pins[0].Changed() || pins[0].Was != hashA || pins[1].Changed() {
		t.Errorf("check of another module: code %d, %v\n%s%s", code, err, out, errs)
	}
	if code, out, errs = mta("", "plugin", "lock"); code != 0 || !strings.Contains(out, ", was sha256:"+hashA) || read() == locked {
		t.Errorf("lock again: code %d\n%s%s", code, out, errs)
	}
}

func TestPlain(t *testing.T) {
	if got := plain("hdr\x1b]0;x\x07\nfind \u202eé"); got != "hdr?]0;x??find ?é" {
		t.Errorf("got %q", got)
	}
}
