package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/report"
)

// modules builds the plugins of testedFile, once.
var modules = sync.OnceValues(func() (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "wasmta", "test-cache", "mta") // code that is compiled of them stays there too
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"rewrite", "route"} {
		if code, _, errs := mta("", "plugin", "build", "../plugins/"+name, "-o", filepath.Join(dir, name+".wasm")); code != 0 {
			return "", errors.New(errs)
		}
	}
	return dir, nil
})

// testedFile is a pipeline with plugins of the repository, and its tests.
func testedFile(t *testing.T, tests string) {
	t.Helper()
	dir, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	folder(t, map[string]string{
		"pipeline.yaml": smallFile + strings.ReplaceAll(`state: DIR
plugins: {rewrite: DIR/rewrite.wasm, route: DIR/route.wasm}
pipeline:
  - plugin: rewrite
    config: {footer: {text: "Sent through hamburger.edu"}}
  - plugin: route
    config:
      rules:
        - {if: {recipient: "@hamburger.edu", detail: [lists]}, deliver: "${detail}"}
        - {if: {header: {Subject: "*lottery*"}}, quarantine: smells of a lottery}
        - {if: {header: {Subject: "*bomb*"}}, reject: "No bombs"}
tests:
`, "DIR", dir) + tests,
		"letter.eml":  "From: alice@crepes.fr\nTo: bob@hamburger.edu\nSubject: =?utf-8?q?cr=C3=AApes?=\n\nBon appetit\n",
		"lottery.eml": "From: alice@crepes.fr\nTo: bob@hamburger.edu\nSubject: the lottery\n\nYou won\n",
		"bomb.eml":    "From: alice@crepes.fr\nTo: bob@hamburger.edu\nSubject: a bomb\n\nBoom\n",
	})
}

func TestTestsOfThePipelineFile(t *testing.T) {
	testedFile(t, `  - {name: a footer, message: letter.eml, expect: {verdict: accept, to: [bob@hamburger.edu], text: ["appetit\n\nSent through hamburger.edu"], header: {Subject: crêpes}, no_header: [X-Mailer]}}
  - {name: a folder, message: letter.eml, from: "<>", to: [bob+lists@hamburger.edu], expect: {folder: lists}}
  - {name: a lottery, message: lottery.eml, expect: {verdict: quarantine, held: smells}}
  - {name: a bomb, message: bomb.eml, expect: {verdict: reject, reply: No bombs}}
`)
	code, out, _ := mta("", "test")
	if code != 0 || strings.Count(out, "ok    a ") != 4 || !strings.HasSuffix(out, "\n4 tests, all ok\n") {
		t.Errorf("code %d\n%s", code, out)
	}
}

func TestATestThatFailsShowsWhatCame(t *testing.T) {
	testedFile(t, `  - name: everything is otherwise
    message: letter.eml
    expect:
      {verdict: reject, reply: "5.7.1", held: lot, to: [carol@hamburger.edu], folder: Junk, header: {Subject: x}, no_header: [to], text: [tomatoes], sends: [alice@crepes.fr]}
  - {name: nothing to look into, message: bomb.eml, expect: {header: {Subject: x}}}
  - {name: nothing expected, message: bomb.eml}
`)
	code, out, _ := mta("", "test")
	want := `    verdict
    - reject
    + accept
    reply
    - …5.7.1…
    held
    - …lot…
    to
    - carol@hamburger.edu
    + bob@hamburger.edu
    folder
    - Junk
    + INBOX
    sends
    - alice@crepes.fr
    header
    - Subject: x
    + Subject: crêpes
    header
    + to: bob@hamburger.edu
    text
    - tomatoes
    + Bon appetit
    +
    + Sent through hamburger.edu
    +
FAIL  nothing to look into     `
	if code != 1 || !strings.Contains(out, want) || !strings.Contains(out, "    there is no message to look into\nok    nothing expected") ||
		!strings.HasSuffix(out, " tests, 2 failed\n") {
		t.Errorf("code %d\n%s", code, out)
	}
	code, out, _ = mta("", "test", "--json")
	var tests []report.Test
	if err := json.Unmarshal([]byte(out), &tests); err != nil || code != 1 || len(tests) < 3 || len(tests[0].Failures) != 9 || tests[0].Where != "pipeline.yaml:18" {
		t.Errorf("--json: code %d, %v\n%s", code, err, out)
	}
}

func TestCasesThatPluginsShipAreRunWithThePipelines(t *testing.T) {
	stamp := filepath.Join(repository(t), "plugins/stamp")
	folder(t, map[string]string{"pipeline.yaml": smallFile + "plugins: {stamp: " + stamp + ", again: " + stamp + "}\npipeline: [{plugin: stamp}]\n"})
	code, out, errs := mta("", "test")
	if files, _ := filepath.Glob(stamp + "/testdata/*.txtar"); code != 0 || strings.Count(out, "\nok ")+1 != len(files)+1 || !strings.Contains(out, stamp+"/README.md") {
		t.Errorf("code %d, want %d cases\n%s%s", code, len(files)+1, out, errs)
	}
	folder(t, map[string]string{"pipeline.yaml": smallFile})
	if code, out, errs := mta("", "test"); code != 0 || out != "0 tests\n" || errs != "mta: neither pipeline.yaml nor its plugins have tests; see `mta test --help`\n" {
		t.Errorf("without tests: code %d\n%s%s", code, out, errs)
	}
}

func TestATestWithoutItsMessageIsAFinding(t *testing.T) {
	testedFile(t, "  - {name: x, message: gone.eml}\n")
	if code, out, errs := mta("", "test"); code != 1 || out != "" || errs != "pipeline.yaml:18:24: tests[0].message: open gone.eml: no such file or directory; name the file of a message\n" {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

func TestRun(t *testing.T) {
	testedFile(t, "")
	code, out, errs := mta("", "run", "letter.eml", "bomb.eml", "--output", "out", "--client", "2001:db8::1", "--helo", "crepes.fr")
	for _, want := range []string{
		"letter.eml  ", "  from   alice@crepes.fr  (its From)\n", "  client 2001:db8::1 as crepes.fr\n",
		"    body, text/plain\n      Bon appetit\n    +\n    + Sent through hamburger.edu\n", "    in out/letter.eml\n\nbomb.eml  ",
		"    550 5.7.1 No bombs\n", "\ntogether  reject ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 0 || errs != "" || strings.Contains(out, "\x1b") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if files, err := filepath.Glob("out/*"); err != nil || len(files) != 1 {
		t.Errorf("written: %v, %v", files, err)
	}
}

func TestRunTakesStandardInputAndPrintsJSON(t *testing.T) {
	testedFile(t, "")
	type reports = []report.Report
	var first, second reports
	for _, into := range []*reports{&first, &second} {
		code, out, errs := mta("Subject: hi\n\nhello\n", "run", "-", "--json", "--from", "<>", "--to", "bob@hamburger.edu", "--to", "carol@hamburger.edu")
		if err := json.Unmarshal([]byte(out), into); err != nil || code != 0 || errs != "" {
			t.Fatalf("code %d, %v\n%s%s", code, err, out, errs)
		}
	}
	if r := first[0]; r.Message != "standard input" || r.From != "" || len(r.To) != 2 || r.Verdict != "accept" || len(r.Steps) != 2 || r.Assumed["from"] != "" {
		t.Errorf("%+v", r)
	}
	for i, s := range first[0].Steps {
		if other := second[0].Steps[i]; s.Used.Fuel != other.Used.Fuel || s.Used.Calls != other.Used.Calls || s.Used.Memory != other.Used.Memory {
			t.Errorf("stage %s used %+v and then %+v", s.Stage, s.Used, other.Used)
		}
	}
}

// numbers are what differs from machine to machine, and from one version of a
// compiler to another.
var numbers = regexp.MustCompile(` +[0-9.,]+ (ms|fuel|calls|[KM]iB)`)

func TestRunPrintsWhatTheReadmeShows(t *testing.T) {
	root := repository(t)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	letter, err := os.ReadFile("../examples/messages/ketchup.eml")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	folder(t, map[string]string{
		"pipeline.yaml":                 strings.NewReplacer(" plugins/", " "+root+"/plugins/", "state: var ", "state: "+cache+" ").Replace(string(file)),
		"examples/messages/ketchup.eml": string(letter),
	})
	code, out, errs := mta("", "run", "examples/messages/ketchup.eml", "--from", "alice@crepes.fr", "--to", "bob+lists@hamburger.edu")
	mask := func(s string) string { return numbers.ReplaceAllString(s, " N $1") }
	if code != 0 || !strings.Contains(mask(string(readme)), "\n```\n"+mask(out)+"```\n") {
		t.Errorf("code %d, not what README.md shows:\n%s%s", code, out, errs)
	}
}

func TestSecretsNeedNotBeSetAtTheDesk(t *testing.T) {
	folder(t, map[string]string{
		"a.wasm": "\x00asm\x01\x00\x00\x00", "letter.eml": "Subject: x\n\n",
		"pipeline.yaml": smallFile + `plugins: {a: a.wasm}
accounts:
  bob@hamburger.edu: {password: "${MTA_TEST_UNSET}"}
relay:
  routes: {"*": "smtp://bob:${MTA_TEST_UNSET}@smarthost.example:587"}
`,
	})
	for _, args := range []string{"run letter.eml --to bob@hamburger.edu,x@example.org", "test", "plugin lock"} {
		code, out, errs := mta("", strings.Fields(args)...)
		if code != 0 || strings.Contains(out, "argon2id") {
			t.Errorf("%s: code %d\n%s%s", args, code, out, errs)
		}
		if strings.HasPrefix(args, "run") && !strings.Contains(out, "→ x@example.org  (relay to smtp://bob@smarthost.example:587)\n") {
			t.Errorf("%s:\n%s", args, out)
		}
	}
	if code, out, _ := mta("", "check"); code != 1 || !strings.Contains(out, "MTA_TEST_UNSET") {
		t.Errorf("check: code %d\n%s", code, out)
	}
}

func TestRunRefusesWrongFlags(t *testing.T) {
	testedFile(t, "")
	for args, want := range map[string]string{
		"--from a@b@c letter.eml":    `mta: --from: "a@b@c" is not an address: `,
		"--to <> letter.eml":         "mta: --to: a recipient cannot be <>\n",
		"--client here letter.eml":   `mta: --client: "here" is no IP address` + "\n",
		"--now yesterday letter.eml": `mta: --now: "yesterday" is no time; write one such as 2026-11-24T10:00:00Z, or now` + "\n",
		"--stage nosuch.eml":         "mta: unknown flag --stage",
		"":                           "mta: expected \"<message> ...\"",
	} {
		if code, out, errs := mta("", append([]string{"run"}, strings.Fields(args)...)...); code != 2 || out != "" || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: code %d\ngot  %s%swant %s", args, code, out, errs, want)
		}
	}
	if code, _, errs := mta("", "run", "nosuch.eml"); code != 1 || errs != "mta: open nosuch.eml: no such file or directory\n" {
		t.Errorf("no file: code %d: %s", code, errs)
	}
}

const caseText = `A comment that stays.
-- config.yaml --
rules: [{if: {sender: "@crepes.fr"}, reject: "No crepes, please"}]
-- want --
`

func TestCasesOfAPlugin(t *testing.T) {
	root := repository(t)
	dir := folder(t, map[string]string{
		"good/testdata/reject.txtar": caseText + "verdict: reject\nreply: 550 5.7.1 No crepes, please\n",
		"bad/testdata/reject.txtar":  caseText + "verdict: accept\n",
		"bad/testdata/change.txtar":  caseText + "verdict: reject\nreply: 550 5.7.1 No crepes, please\n-- want.eml --\nSubject: other\n\nHello Bob\n",
		"none/README.md":             "# Nothing\n",
		"broken/testdata/x.txtar":    "-- wnt --\n",
		"documented/README.md":       "# It\n\n```txtar\n" + caseText + "verdict: reject\nreply: 550 5.7.1 No crepes, please\n```\n",
	})
	route := filepath.Join(root, "plugins/route")
	if code, out, errs := mta("", "test", "--plugin", route, "good", "documented", "good/testdata/reject.txtar"); code != 0 ||
		!strings.Contains(out, "ok    reject   good/testdata/reject.txtar") || !strings.Contains(out, "ok    block 1  documented/README.md") || !strings.HasSuffix(out, "\n3 tests, all ok\n") {
		t.Errorf("good: code %d\n%s%s", code, out, errs)
	}
	code, out, errs := mta("", "test", "--plugin", route, "bad")
	for _, want := range []string{
		"FAIL  change  bad/testdata/change.txtar", "    message\n    header\n    - Subject: other\n    + From: Alice <alice@crepes.fr>\n    + To: bob@hamburger.edu\n    + Subject: Hello\n",
		"FAIL  reject  bad/testdata/reject.txtar", "    result\n    - verdict: accept\n    + verdict: reject\n    + reply: 550 5.7.1 No crepes, please\n", "\n2 tests, 2 failed\n",
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("bad: code %d, no %q in\n%s%s", code, want, out, errs)
		}
	}
	if code, out, errs := mta("", "test", "--plugin", route, "--update", "bad"); code != 0 || strings.Count(out, "new   ") != 2 {
		t.Errorf("--update: code %d\n%s%s", code, out, errs)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bad/testdata/reject.txtar"))
	if err != nil || !strings.HasPrefix(string(text), "A comment that stays.\n") || !strings.Contains(string(text), "-- want --\nverdict: reject\n") {
		t.Errorf("after --update: %v\n%s", err, text)
	}
	if code, out, errs := mta("", "test", "--plugin", route, "bad"); code != 0 {
		t.Errorf("after --update: code %d\n%s%s", code, out, errs)
	}
	for args, want := range map[string]string{
		"none":            "mta: none has no tests; put case files into none/testdata/*.txtar\n",
		"nowhere":         "mta: stat nowhere: no such file or directory\n",
		"broken":          "mta: broken/testdata/x.txtar: file wnt: unknown",
		"none/README.md":  "mta: none/README.md is neither a plugin's folder nor a case file (*.txtar); run the cases of a folder with a module by --plugin\n",
		"--plugin x.wasm": "mta: --plugin: name the folder of the cases too\n",
	} {
		if code, out, errs := mta("", append([]string{"test"}, strings.Fields(args)...)...); code == 0 || out != "" || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: code %d\ngot  %s%swant %s", args, code, out, errs, want)
		}
	}
}
