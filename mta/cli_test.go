package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/config"
)

// mta runs a command line in this process.
func mta(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// folder makes a folder with files, and makes it the current one.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// repository is the top of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const smallFile = `hostname: hamburger.edu
listen:
  smtp: [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
`

func TestEveryCommandShowsAnExample(t *testing.T) {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(node *kong.Node)
	walk = func(node *kong.Node) {
		words := strings.Fields(node.FullPath())[1:]
		code, out, errs := mta("", append(words, "--help")...)
		if code != 0 || errs != "" || !strings.Contains(out, "Example: ") || !strings.Contains(out, "mta") {
			t.Errorf("%s --help: code %d, no example\n%s%s", node.FullPath(), code, out, errs)
		}
		for _, child := range node.Children {
			if child.Type == kong.CommandNode {
				walk(child)
			}
		}
	}
	walk(parser.Model.Node)
}

func TestWrongUsageIsOneLineWithAHint(t *testing.T) {
	tests := []struct{ name, args, want string }{
		{"a typo", "quue", "mta: quue is no command; write \"queue\", or see `mta --help`"},
		{"a beginning", "acc", "mta: acc is no command; write \"account\", or see `mta --help`"},
		{"something else", "frobnicate", "mta: frobnicate is no command; there are serve, check, run, test, queue, account, plugin, version; see `mta --help`"},
		{"a typo below a command", "queue lst", "mta: lst is no command; write \"list\", or see `mta queue --help`"},
		{"a typo below a command that needs one", "account ad carol@hamburger.edu", "mta: ad is no command; write \"add\", or see `mta account --help`"},
		{"a command left out", "account", `mta: expected one of "add", "passwd", "list", "remove", "hash"; see ` + "`mta account --help`"},
		{"an argument too many", "version now", "mta: unexpected argument now; see `mta version --help`"},
		{"an argument left out", "account add", `mta: expected "<name>"; see ` + "`mta account add --help`"},
		{"a flag that is none", "--bogus", "mta: unknown flag --bogus; see `mta --help`"},
		{"a typo in a flag", "check --josn", `mta: unknown flag --josn, did you mean "--json"?; see ` + "`mta check --help`"},
		{"a flag without its value", "check --pipeline", "mta: --pipeline: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := mta("", strings.Fields(test.args)...)
			if code != 2 || out != "" || !strings.HasPrefix(errs, test.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("code %d, stdout %q\ngot  %q\nwant %q", code, out, errs, test.want)
			}
		})
	}
}

// TestCheckPrintsWhatTheReadmeShows has the file behind the findings that
// README.md shows.
func TestCheckPrintsWhatTheReadmeShows(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	folder(t, map[string]string{"stamp.wasm": "", "rewrite.wasm": "", "pipeline.yaml": smallFile + `plugins:
  stamp: stamp.wasm
  rewrite: rewrite.wasm
pipeline:
  - plugin: stamp
    timeout: 250ms
  - plugn: rewrite
    timeout: 5
`})
	code, out, errs := mta("", "check")
	if code != 1 || errs != "" || !strings.Contains(string(readme), "\n```\n"+out+"```\n") {
		t.Errorf("code %d, not what README.md shows:\n%s%s", code, out, errs)
	}
}

func TestCheck(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	stamp := filepath.Join(repository(t), "plugins/stamp")
	broken := map[string]string{
		"broken/go.mod":  "module example.org/broken\n\ngo 1.24\n",
		"broken/main.go": "package main\n\nfunc main() {\n\tx := 1\n}\n",
	}
	tests := []struct {
		name, file string
		files      map[string]string
		noGo       bool
		code       int
		want       string
	}{
		{name: "a good file", file: smallFile, code: 0, want: "pipeline.yaml: nothing to say against it\n"},
		{name: "no file", code: 1, want: "pipeline.yaml: there is no such file; name the file with --pipeline FILE\n"},
		{name: "an address that is taken", file: "hostname: a.example\nlisten:\n  smtp: [127.0.0.1:0]\n  pop3: [127.0.0.1:0, " + taken.Addr().String() + "]\n", code: 1,
			want: "pipeline.yaml:4:23: listen.pop3[1]: " + taken.Addr().String() + " is taken; stop what listens there, or choose another port\n"},
		{name: "a config that the plugin refuses", file: smallFile + "plugins: {stamp: " + stamp + "}\npipeline:\n  - plugin: stamp\n    config: {ad: {X: y}}\n", code: 1,
			want: "pipeline.yaml:9:13: pipeline[0].config: plugin stamp: on_load: refused to start: unknown key \"ad\"; did you mean \"add\"?\n"},
		{name: "a plugin that is not granted what it imports", file: smallFile + "plugins: {stamp: " + stamp + "}\npipeline:\n  - plugin: stamp\n    grant: [kv]\n", code: 1,
			want: "pipeline.yaml:9:12: pipeline[0].grant: plugin stamp: imports "},
		{name: "a plugin that does not compile", file: smallFile + "plugins:\n  broken: broken\npipeline:\n  - plugin: broken\n", files: broken, code: 1,
			want: "pipeline.yaml:7:11: plugins.broken: does not build: main.go:4:2: declared and not used: x; mend it in broken; `mta plugin build` shows all that the compiler says\n"},
		{name: "no Go toolchain", file: smallFile + "plugins:\n  stamp: " + stamp + "\npipeline:\n  - plugin: stamp\n", noGo: true, code: 1,
			want: "pipeline.yaml:7:10: plugins.stamp: build plugin " + stamp + ": no Go toolchain in PATH; install Go (https://go.dev/dl), or give a built .wasm file instead of the folder\n"},
		{name: "a file that is no module", file: smallFile + "plugins: {a: a.wasm}\npipeline: [{plugin: a}]\n", files: map[string]string{"a.wasm": "text"}, code: 1,
			want: "pipeline.yaml:7:12: pipeline[0].config: plugin a: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{}
			for name, text := range test.files {
				files[name] = text
			}
			if test.file != "" {
				files["pipeline.yaml"] = test.file
			}
			folder(t, files)
			if test.noGo {
				t.Setenv("PATH", t.TempDir())
			}
			code, out, errs := mta("", "check")
			if code != test.code || !strings.HasPrefix(out, test.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("code %d, want %d\ngot  %s%s\nwant %s", code, test.code, out, errs, test.want)
			}
			code, out, _ = mta("", "check", "--json")
			var findings config.Findings
			if err := json.Unmarshal([]byte(out), &findings); err != nil || code != test.code || len(findings) != test.code {
				t.Errorf("--json: code %d, %d findings, %v: %s", code, len(findings), err, out)
			}
			if test.code == 0 {
				return
			}
			// A start says the same, on standard error.
			code, out, errs = mta("", "--pipeline", "pipeline.yaml")
			if code != 1 || out != "" || !strings.Contains("\n"+errs, "\n"+test.want) {
				t.Errorf("a start: code %d\n%s%s", code, out, errs)
			}
		})
	}
}

func TestThePipelineFileIsThatOfTheEnvironment(t *testing.T) {
	folder(t, map[string]string{"other.yaml": smallFile})
	t.Setenv("MTA_PIPELINE", "other.yaml")
	if code, out, errs := mta("", "check"); code != 0 || out != "other.yaml: nothing to say against it\n" {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	if code, out, _ := mta("", "check", "--pipeline", "flag.yaml"); code != 1 || !strings.HasPrefix(out, "flag.yaml: there is no such file") {
		t.Errorf("the flag does not win: code %d: %s", code, out)
	}
}

func TestAccounts(t *testing.T) {
	dir := folder(t, map[string]string{"pipeline.yaml": smallFile})
	steps := []struct {
		name, stdin, args string
		code              int
		stdout, stderr    string // a part of it
	}{
		{"add", "sauce\n", "account add Carol@hamburger.edu", 0, "Carol@hamburger.edu added\n", ""},
		{"add again", "sauce\n", "account add carol@hamburger.edu", 1, "", "carol@hamburger.edu"},
		{"add without a password", "", "account add dave@hamburger.edu", 1, "", "mta: no password: type one"},
		{"add to a domain of others", "sauce\n", "account add dave@crepes.fr", 1, "", "crepes.fr is not one of the domains with mailboxes in pipeline.yaml (hamburger.edu)"},
		{"add what is no account", "sauce\n", "account add dave", 1, "", "dave"},
		{"list", "", "account list", 0, "carol@hamburger.edu\tvar/accounts.json\n", ""},
		{"list as JSON", "", "account list --json", 0, `[{"name":"carol@hamburger.edu","source":"var/accounts.json"}]`, ""},
		{"passwd", "mustard\n", "account passwd carol@hamburger.edu", 0, "password of carol@hamburger.edu set\n", ""},
		{"passwd of nobody", "mustard\n", "account passwd nobody@hamburger.edu", 1, "", "nobody@hamburger.edu"},
		{"passwd on the command line", "", "account passwd carol@hamburger.edu mustard", 2, "", "unexpected argument mustard"},
		{"remove", "", "account remove carol@hamburger.edu", 0, "carol@hamburger.edu removed\n", ""},
		{"remove nobody", "", "account remove carol@hamburger.edu", 1, "", "carol@hamburger.edu"},
		{"list nothing", "", "account list --json", 0, "[]\n", ""},
	}
	for _, step := range steps {
		code, out, errs := mta(step.stdin, strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(out, step.stdout) || !strings.Contains(errs, step.stderr) {
			t.Errorf("%s: code %d, want %d\n%s%s", step.name, code, step.code, out, errs)
		}
		if strings.Count(errs, "\n") > 1 {
			t.Errorf("%s: more than a line:\n%s", step.name, errs)
		}
		file, _ := os.ReadFile(filepath.Join(dir, "var/accounts.json"))
		for _, password := range []string{"sauce", "mustard"} {
			if bytes.Contains(file, []byte(password)) || step.code != 2 && strings.Contains(out+errs, password) {
				t.Errorf("%s: the password shows", step.name)
			}
		}
	}
}

func TestAccountHashIsForThePipelineFile(t *testing.T) {
	code, out, errs := mta("ketchup\n", "account", "hash")
	hash := strings.TrimSuffix(out, "\n")
	if code != 0 || account.CheckHash(hash) != nil || !account.IsDemo(hash) {
		t.Fatalf("code %d: %s%s", code, out, errs)
	}
	folder(t, map[string]string{"pipeline.yaml": smallFile + fmt.Sprintf("accounts:\n  bob@hamburger.edu: {password: %q}\n", hash)})
	if code, out, errs := mta("", "account", "list"); code != 0 || out != "bob@hamburger.edu\tpipeline.yaml\n" {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	for _, args := range []string{"passwd", "add", "remove"} {
		if code, _, errs := mta("sauce\n", "account", args, "bob@hamburger.edu"); code != 1 || !strings.Contains(errs, " in pipeline.yaml") {
			t.Errorf("%s: code %d: %s", args, code, errs)
		}
	}
}

func TestTheDemoPasswordStaysOnLoopback(t *testing.T) {
	_, hash, _ := mta("ketchup\n", "account", "hash")
	open := strings.Replace(smallFile, "127.0.0.1:0", "0.0.0.0:0", 1)
	t.Run("an account of the file", func(t *testing.T) {
		folder(t, map[string]string{"pipeline.yaml": open + fmt.Sprintf("accounts:\n  bob@hamburger.edu: {password: %q}\n", strings.TrimSpace(hash))})
		code, out, _ := mta("", "check")
		if want := "pipeline.yaml:7:33: accounts[\"bob@hamburger.edu\"].password: the demo password, while smtp on 0.0.0.0:0 can be reached by others; set another password, or listen on 127.0.0.1 only\n"; code != 1 || out != want {
			t.Errorf("code %d\ngot  %swant %s", code, out, want)
		}
		if code, _, errs := mta("", "serve"); code != 1 || errs != out {
			t.Errorf("a start: code %d: %s", code, errs)
		}
	})
	t.Run("an account of mta account", func(t *testing.T) {
		dir := folder(t, map[string]string{"pipeline.yaml": smallFile})
		if code, _, errs := mta("ketchup\n", "account", "add", "bob@hamburger.edu"); code != 0 {
			t.Fatal(errs)
		}
		if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(open), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, _ := mta("", "check")
		if want := "pipeline.yaml:3:3: listen: other machines can reach this server, while everyone knows the password of bob@hamburger.edu; set other passwords with `mta account passwd`, or listen on 127.0.0.1 only\n"; code != 1 || out != want {
			t.Errorf("code %d\ngot  %swant %s", code, out, want)
		}
		if code, _, errs := mta("", "serve"); code != 1 || errs != out {
			t.Errorf("a start: code %d: %s", code, errs)
		}
		if code, _, errs := mta("ketchup\n", "account", "passwd", "bob@hamburger.edu"); code != 1 || !strings.Contains(errs, "everyone knows this password") {
			t.Errorf("passwd: code %d: %s", code, errs)
		}
		if code, _, errs := mta("ketchup\n", "account", "add", "carol@hamburger.edu"); code != 1 || !strings.Contains(errs, "everyone knows this password") {
			t.Errorf("add: code %d: %s", code, errs)
		}
	})
}

func TestVersion(t *testing.T) {
	if code, out, _ := mta("", "version"); code != 0 || !strings.HasPrefix(out, "mta ") || !strings.Contains(out, "plugin ABI 1.") {
		t.Errorf("code %d: %s", code, out)
	}
	var v struct{ Version, Go, ABI string }
	code, out, _ := mta("", "version", "--json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version == "" || !strings.HasPrefix(v.Go, "go1.") || v.ABI == "" {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
}
