package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// A block is what stands between ``` and ``` in a document.
type block struct {
	doc  string // its path in the repository
	line int    // of the opening ```
	lang string // the word after it
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.doc, b.line) }

// documents are where people read how to use the server.
var documents = []string{
	"README.md", "mta/README.md", "sdk/README.md", "sdk/*/README.md", "plugins/README.md", "plugins/*/README.md",
	"examples/README.md", "examples/*/README.md", "mta/docs/*.md", "mta/docs/decisions/*.md",
}

// languages says who tests the blocks of each.
var languages = map[string]string{
	"yaml":   "TestYAMLOfTheDocuments",
	"sh":     "TestCommandsOfTheDocuments",
	"go":     "TestPluginsOfTheDocuments",
	"txtar":  "TestPluginsOfTheDocuments for the SDK's; the tests of each plugin for its own",
	"log":    "TestLogOfTheDocuments",
	"json":   "TestConformance of mta, by the configurations of the kit",
	"c":      "TestReadmes of mta/internal/toolchain",
	"cpp":    "TestReadmes of mta/internal/toolchain",
	"rust":   "TestReadmes of mta/internal/toolchain",
	"zig":    "TestReadmes of mta/internal/toolchain",
	"ts":     "TestReadmes of mta/internal/toolchain",
	"js":     "TestReadmes of mta/internal/toolchain",
	"python": "TestReadmes of mta/internal/toolchain",
	"ruby":   "TestReadmes of mta/internal/toolchain",
	"":       "pictures and what is printed; no one pastes them",
}

// blocks returns those of all documents.
func blocks(t testing.TB) (all []block) {
	t.Helper()
	for _, pattern := range documents {
		files, err := filepath.Glob(filepath.Join(Root(t), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			doc, _ := filepath.Rel(Root(t), file)
			all = append(all, blocksOf(t, doc)...)
		}
	}
	return all
}

func blocksOf(t testing.TB, doc string) (found []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), doc))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && fence:
			open = &block{doc: doc, line: i + 1, lang: lang}
		case open != nil && fence:
			found, open = append(found, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%v is not closed", open)
	}
	return found
}

func TestEveryBlockOfTheDocumentsHasATest(t *testing.T) {
	found, lines := map[string]int{}, map[string]bool{}
	for _, b := range blocks(t) {
		if _, ok := languages[b.lang]; !ok {
			t.Errorf("%v: nothing tests %q", b, b.lang)
		}
		found[b.lang]++
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			lines[strings.TrimSpace(line)] = true
		}
	}
	for lang, least := range map[string]int{"yaml": 9, "sh": 15, "go": 3, "log": 3} {
		if found[lang] < least {
			t.Errorf("only %d blocks of %s were found", found[lang], lang)
		}
	}
	for line := range notRun {
		if !lines[line] {
			t.Errorf("notRun has %q, which no document has", line)
		}
	}
}

// ports are those that the documents and their files name. One that is the
// beginning of another comes after it.
var ports = []string{"2525", "2526", "2587", "2588", "2110", "2111", "2143", "2144", "8025", "25", "587", "465", "995", "993"}

// A clone is a copy of the checkout, in which commands of the documents run.
// Ports are replaced by free ones, and /etc/mta and /var/lib/mta lie in it.
type clone struct {
	dir     string
	env     []string // what its commands have exported
	replace *strings.Replacer
}

func newClone(t *testing.T) *clone {
	t.Helper()
	c := &clone{dir: t.TempDir(), env: []string{"GOFLAGS=-trimpath"}} // so that all clones share what they compile
	pairs := []string{"/etc/mta", c.dir + "/etc/mta", "/var/lib/mta", c.dir + "/var/lib/mta"}
	for i, free := range freePorts(t, len(ports)) {
		pairs = append(pairs, "127.0.0.1:"+ports[i], "127.0.0.1:"+free, `":`+ports[i]+`"`, `"127.0.0.1:`+free+`"`)
	}
	c.replace = strings.NewReplacer(pairs...)
	root := Root(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if rel == ".git" || rel == "var" || d.Name() == "fuzz" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(c.dir, rel), 0o700)
		}
		if strings.HasSuffix(rel, ".wasm") || strings.HasSuffix(rel, ".test") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(rel, ".yaml") {
			text = []byte(c.replace.Replace(string(text)))
		}
		return os.WriteFile(filepath.Join(c.dir, rel), text, info.Mode().Perm()&0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.keepCompiled(t)
	return c
}

// keepCompiled has servers of the clone keep the code of plugins where other
// tests do: an interpreter takes many seconds to compile.
func (c *clone) keepCompiled(t *testing.T) {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "wasmta", "test-cache")
	if err := errors.Join(os.MkdirAll(kept, 0o700), os.MkdirAll(filepath.Join(c.dir, "var", "cache"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kept, filepath.Join(c.dir, "var", "cache", "wazero")); err != nil {
		t.Fatal(err)
	}
}

// write puts text into a file of the clone.
func (c *clone) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is a shell line to run in the clone, with mta in PATH.
func (c *clone) command(t testing.TB, line string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-ec", c.replace.Replace(line))
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(Binary(t))+":"+os.Getenv("PATH"), "SMARTHOST_PASSWORD=mustard")
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// install makes what the documents take as given in /etc/mta: a certificate,
// the plugins as modules, and files that they show.
func (c *clone) install(t *testing.T, all []block) {
	t.Helper()
	cert, key := selfSigned(t, "mail.hamburger.edu")
	c.write(t, "etc/mta/cert.pem", cert)
	c.write(t, "etc/mta/key.pem", key)
	for _, b := range all {
		if first, _, _ := strings.Cut(b.text, "\n"); strings.HasPrefix(first, "# /etc/mta/") {
			c.write(t, strings.TrimPrefix(first, "# /"), c.replace.Replace(b.text))
		}
	}
	for _, name := range []string{"stamp", "rewrite", "route"} {
		out, err := c.command(t, "mta plugin build plugins/"+name+" -o /etc/mta/"+name+".wasm").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	c.command(t, "cp /etc/mta/stamp.wasm /etc/mta/mine.wasm").Run()
	if err := os.MkdirAll(filepath.Join(c.dir, "var/lib/mta"), 0o700); err != nil {
		t.Fatal(err)
	}
}

var (
	topKey      = regexp.MustCompile(`(?m)^([a-z_]+):`)
	usedPlugin  = regexp.MustCompile(`plugin: ([a-z]+)`)
	namedModule = regexp.MustCompile(`: ([a-z]+\.wasm)`)
	listenLine  = regexp.MustCompile(`(?m)^ +[a-z0-9]+: +\[[^\]]*:[0-9]+"?\]`)
	addressPort = regexp.MustCompile(`:[0-9]+("?\])`)
)

// whole makes a file of a block that shows a part of one.
func whole(b block) string {
	keys := map[string]bool{}
	for _, m := range topKey.FindAllStringSubmatch(b.text, -1) {
		keys[m[1]] = true
	}
	text := b.text
	if keys["config"] { // of the plugin whose README this is
		name := filepath.Base(filepath.Dir(b.doc))
		text = "pipeline:\n  - plugin: " + name + "\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
		keys["pipeline"] = true
	}
	if keys["pipeline"] && !keys["plugins"] {
		text += "plugins:\n"
		for _, m := range usedPlugin.FindAllStringSubmatch(text, -1) {
			if line := "  " + m[1] + ": plugins/" + m[1] + "\n"; !strings.Contains(text, line) {
				text += line
			}
		}
	}
	if !keys["hostname"] {
		text = "hostname: hamburger.edu\n" + text
	}
	return listenLine.ReplaceAllStringFunc(text, func(line string) string { return addressPort.ReplaceAllString(line, ":0$1") })
}

// TestYAMLOfTheDocuments lets `mta check` look at every YAML that the documents
// show; a part of a file is made a whole one.
func TestYAMLOfTheDocuments(t *testing.T) {
	needCompilers(t)
	all := blocks(t)
	c := newClone(t)
	c.install(t, all)
	hello, err := os.ReadFile(filepath.Join(c.dir, "examples/hello/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "plugins/hello/main.go", string(hello)) // where sdk/README.md puts it
	n := 0
	for _, b := range all {
		if b.lang != "yaml" {
			continue
		}
		for _, m := range namedModule.FindAllStringSubmatch(b.text, -1) {
			c.write(t, m[1], emptyCommand) // which the document builds
		}
		n++
		name := fmt.Sprintf("document-%d.yaml", n)
		c.write(t, name, c.replace.Replace(whole(b)))
		if out, err := c.command(t, "mta check --pipeline "+name).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s\n%s", b, err, out, whole(b))
		}
	}
}

// emptyCommand is a module that exports _start, which does nothing.
const emptyCommand = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x0a\x01\x06_start\x00\x00\x0a\x04\x01\x02\x00\x0b"

// needCompilers installs what the documents' plugins are built with.
func needCompilers(t *testing.T) {
	t.Helper()
	for _, lang := range []string{"go", "c", "cpp", "rust", "zig", "assemblyscript", "javascript", "python", "ruby"} {
		testpeer.NeedCompiler(t, lang)
	}
	testpeer.Need(t, "nim", "nim")
	testpeer.Need(t, "ldc2", "ldc")
}

// notRun are the commands that are not run, and why.
var notRun = map[string]string{
	"go test ./...": "it runs this test",
	"zig build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic -fstrip --stack 65536      --dep mta -Mroot=plugin.zig -Mmta=mta.zig -femit-bin=plugin.wasm": "mta plugin build does the same, and the tests of toolchain",
	"cargo build --release --target wasm32-unknown-unknown":                                                                  "mta plugin build does the same, and the tests of toolchain",
	"clang-14 --target=wasm32-wasi -mexec-model=reactor -O2 -s -Wl,--stack-first -o plugin.wasm plugin.c":                    "mta plugin build does the same, and the tests of toolchain",
	"clang-14 --target=wasm32 -nostdlib -mbulk-memory -O2 -s -Wl,--no-entry,--stack-first -o plugin.wasm plugin.c":           "mta plugin build does the same, and the tests of toolchain",
	"asc plugin.ts -O3 --path . --initialMemory 5 --exportStart _initialize --use abort=~lib/mta/index/abort -o plugin.wasm": "mta plugin build does the same, and the tests of toolchain",
	"go run ./sdk/conformance --messages FOLDER module.wasm":                                                                 "TestConformance does it",
	".ci/run":                       "it runs this test",
	"go run ./mta/fault --markdown": "it takes half an hour; TestScenarios does it for a minute",
	"kill -HUP $(pidof mta)":        "there may be other servers on this machine; TestReload does it",
	"kill -TERM $(pidof mta)":       "there may be other servers on this machine; TestDrain does it",
	"WASMTA_LONG=1 go test -timeout 1h -run 'TestSmtpSource|TestKilledAtAnyMoment' ./mta/internal/e2e": "it takes long",
	"go test -run '^$' -fuzz FuzzSession -fuzztime 10m ./mta/internal/smtpd":                           "it takes ten minutes",
	"go test -run '^$' -bench 'Languages|ReadMessage|LoadGo' ./mta":                                    "it takes minutes",
	"go test -run '^$' -bench . ./mta/internal/meter":                                                  "it takes minutes",
	"go test -run '^$' -bench . ./mta/internal/smtpd ./mta/internal/relay ./mta":                       "it takes minutes",
}

// promised is a part of what a command prints, by how it begins.
var promised = []struct{ command, output string }{
	{"curl --user bob@hamburger.edu:ketchup pop3://127.0.0.1:2110/1", "Subject: Picture of yummy crepe."},
	{"curl --user bob@hamburger.edu:ketchup \"imap://127.0.0.1:2143/INBOX;UID=1\"", "Subject: Picture of yummy crepe."},
	{"go run ./mta check --pipeline pipeline.yaml", "pipeline.yaml: nothing to say against it"},
	{"go run ./mta queue list --pipeline examples/two-servers/crepes.fr.yaml", "bob@hamburger.edu"},
	{"go run ./sdk/conformance sdk/conformance/filters/go", "0 differ"},
	{"mta check", "nothing to say against it"},
	{"echo", "added"},
	{"mta account list", "bob@hamburger.edu"},
	{"curl -sS http://127.0.0.1:8025/healthz", "serving"},
	{"curl -sS http://127.0.0.1:8025/metrics", "mta_queue_messages"},
	{"bin/mta version", "plugin ABI"},
	{"bin/mta plugin build", "sha256:"},
	{"bin/mta plugin inspect", "on_message"},
	{"go run ./mta run examples/messages/ketchup.eml", "+ Sent through hamburger.edu"},
	{"go run ./mta test", "all ok"},
	{"go run ./mta plugin new", "mta test greeting"},
	{"mta run examples/messages/crepe.eml", "+ Subject: [EXT] Picture of yummy crepe."},
	{"mta run --from", "in out/ketchup.eml"},
	{"mta run --json", `"verdict": "accept"`},
	{"mta test plugins", "all ok"},
	{"mta plugin lock --check", "as it was"},
	{"mta plugin lock", "stamp: sha256:"},
}

// serves are the commands that go on until they are stopped.
var serves = regexp.MustCompile(`^(go run \./mta|mta) (serve )?--pipeline \S+$`)

// TestCommandsOfTheDocuments runs every command that the documents tell people
// to run, in a copy of the checkout, in the order of each document.
func TestCommandsOfTheDocuments(t *testing.T) {
	testpeer.Need(t, "curl", "curl")
	if testing.Short() {
		t.Skip("compiles the server in a copy of the checkout")
	}
	needCompilers(t)
	byDoc := map[string][]block{}
	var docs []string
	for _, b := range blocks(t) {
		if byDoc[b.doc] == nil {
			docs = append(docs, b.doc)
		}
		byDoc[b.doc] = append(byDoc[b.doc], b)
	}
	for _, doc := range docs {
		if !slices.ContainsFunc(byDoc[doc], func(b block) bool { return b.lang == "sh" }) {
			continue
		}
		t.Run(doc, func(t *testing.T) {
			c := newClone(t)
			if slices.ContainsFunc(byDoc[doc], func(b block) bool { return strings.Contains(b.text, "/etc/mta") }) {
				c.install(t, byDoc[doc])
			}
			for _, b := range byDoc[doc] {
				if b.lang == "sh" {
					c.runBlock(t, b)
				}
			}
		})
	}
}

// runBlock runs the lines of a block.
func (c *clone) runBlock(t *testing.T, b block) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   #")
		line = strings.TrimSpace(line)
		switch _, skipped := notRun[line]; {
		case line == "", strings.HasPrefix(line, "#"), skipped:
		case strings.HasPrefix(line, "export "):
			c.env = append(c.env, c.replace.Replace(strings.TrimPrefix(line, "export ")))
		case serves.MatchString(line):
			c.serve(t, b, line)
		default:
			c.run(t, b, line)
		}
	}
}

// run runs a command that ends. What waits for a message is tried until it is
// there.
func (c *clone) run(t *testing.T, b block, line string) {
	t.Helper()
	want := ""
	for _, p := range promised {
		if strings.HasPrefix(line, p.command) {
			want = p.output
		}
	}
	var out []byte
	var err error
	good := func() bool {
		out, err = c.command(t, line).CombinedOutput()
		return err == nil && bytes.Contains(out, []byte(want))
	}
	for deadline := time.Now().Add(patience); !good(); {
		if time.Now().After(deadline) || !strings.HasPrefix(line, "curl --user bob@") && !strings.Contains(line, "queue list") {
			t.Fatalf("%v: %s\n%v, want %q in\n%s", b, line, err, want, out)
		}
		time.Sleep(50 * time.Millisecond) // between two looks; nothing is concluded from it
	}
}

// serve starts a server, which ends with the test, and waits until it says
// where it listens.
func (c *clone) serve(t *testing.T, b block, line string) {
	t.Helper()
	cmd := c.command(t, line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run has a child
	var mu sync.Mutex
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &lockedWriter{mu: &mu, w: &out}, &lockedWriter{mu: &mu, w: &errs}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: %v", b, err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Errorf("%v: %s does not end", b, line)
		}
	})
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return out.String() + errs.String()
	}
	await(t, line, func() bool {
		select {
		case <-ended:
			t.Fatalf("%v: %s ended\n%s", b, line, said())
		default:
		}
		return strings.Contains(said(), "Send a message:") && strings.Contains(said(), "msg=serving")
	})
}

// TestPluginsOfTheDocuments builds the plugins that the documents show, sends a
// message through each, and runs the test that goes with it.
func TestPluginsOfTheDocuments(t *testing.T) {
	hello, err := os.ReadFile(filepath.Join(Root(t), "examples/hello/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	c := newClone(t)
	plugins := 0
	for _, b := range blocks(t) {
		switch {
		case b.lang == "go" && strings.Contains(b.text, "onrcpt.Do"): // its own case tells whether it works
			c.write(t, "plugins/greylist/main.go", b.text)
		case b.lang == "go" && strings.Contains(b.text, "func init()"):
			plugins++
			if b.text != withoutComment(string(hello)) {
				t.Errorf("%v is not examples/hello/main.go", b)
			}
			c.write(t, fmt.Sprintf("plugins/hello%d/main.go", plugins), b.text)
			c.write(t, "plugins/hello/main.go", b.text)
			throughPlugin(t, filepath.Join(c.dir, fmt.Sprintf("plugins/hello%d", plugins)))
		case b.lang == "go" && strings.Contains(b.text, "testing.T"):
			c.write(t, "plugins/hello/main_test.go", b.text)
			c.write(t, "plugins/greylist/main_test.go", b.text)
		case b.lang == "txtar" && b.doc == "sdk/README.md" && strings.Contains(b.text, "hook: on_rcpt"):
			c.write(t, "plugins/greylist/testdata/greylist.txtar", b.text)
		case b.lang == "txtar" && b.doc == "sdk/README.md":
			c.write(t, "plugins/hello/testdata/hello.txtar", b.text)
		case b.lang == "go":
			t.Errorf("%v: neither a plugin nor its test", b)
		}
	}
	if plugins < 2 {
		t.Errorf("only %d plugins were found", plugins)
	}
	for _, name := range []string{"hello", "greylist"} {
		if out, err := c.command(t, "go test -count=1 ./plugins/"+name).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("ok")) {
			t.Errorf("the SDK's test of %s: %v\n%s", name, err, out)
		}
	}
}

// withoutComment drops the comment above a program.
func withoutComment(program string) string {
	for strings.HasPrefix(program, "//") || strings.HasPrefix(program, "\n") {
		_, program, _ = strings.Cut(program, "\n")
	}
	return program
}

// throughPlugin sends a message through a server with the plugin of folder.
func throughPlugin(t *testing.T, folder string) {
	t.Helper()
	s := Start(t, strings.NewReplacer("ROOT/plugins/stamp", folder, `    config: {add: {X-Generation: ""}}`+"\n", "").Replace(stamped("", bobOnly)))
	smtpDial(t, s.Addr("smtp")).send("alice@crepes.fr", "bob@hamburger.edu", "hello")
	inMailbox(t, s, 1)
	if got := fieldOf(string(popRetrieve(t, s.Addr("pop3"), "bob@hamburger.edu", 1)), "X-Hello"); got != "from Wasm" {
		t.Errorf("X-Hello is %q", got)
	}
	s.Stop()
}
