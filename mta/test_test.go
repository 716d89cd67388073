package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/report"
)

// testedFile is a pipeline with the plugins of the repository, and its tests.
func testedFile(t *testing.T, tests string) {
	t.Helper()
	root := repository(t)
	folder(t, map[string]string{
		"pipeline.yaml": smallFile + strings.ReplaceAll(`plugins: {rewrite: ROOT/plugins/rewrite, route: ROOT/plugins/route}
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
`, "ROOT", root) + tests,
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
	code, out, errs := mta("", "test")
	if code != 0 || errs != "" || strings.Count(out, "ok    a ") != 4 || !strings.HasSuffix(out, "\n4 tests, all ok\n") {
		t.Errorf("code %d\n%s%s", code, out, errs)
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
	code, out, errs := mta("", "test")
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
	if code != 1 || errs != "" || !strings.Contains(out, want) || !strings.Contains(out, "    there is no message to look into\nok    nothing expected") ||
		!strings.HasSuffix(out, "\n3 tests, 2 failed\n") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	code, out, _ = mta("", "test", "--json")
	var tests []report.Test
	if err := json.Unmarshal([]byte(out), &tests); err != nil || code != 1 || len(tests) != 3 || len(tests[0].Failures) != 9 || tests[0].Where != "pipeline.yaml:17" {
		t.Errorf("--json: code %d, %v\n%s", code, err, out)
	}
}

func TestATestWithoutItsMessageIsAFinding(t *testing.T) {
	testedFile(t, "  - {name: x, message: gone.eml}\n")
	if code, out, errs := mta("", "test"); code != 1 || out != "" || errs != "pipeline.yaml:17:24: tests[0].message: open gone.eml: no such file or directory; name the file of a message\n" {
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
