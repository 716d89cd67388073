package mtatest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/testcase"
)

// RunDir runs all case files (*.txtar) of a folder, each as a subtest. With
// the environment variable MTATEST_UPDATE=1 it writes what it got into them.
func RunDir(t *testing.T, dir string) {
	t.Helper()
	for _, c := range LoadDir(t, dir) {
		t.Run(c.Name, func(t *testing.T) { Run(t, c) })
	}
}

// RunMarkdown runs all cases in a document: the blocks that begin with
// ```txtar.
func RunMarkdown(t *testing.T, file string) {
	t.Helper()
	for _, c := range LoadMarkdown(t, file) {
		t.Run(c.Name, func(t *testing.T) { Run(t, c) })
	}
}

// LoadDir reads all case files of a folder.
func LoadDir(t testing.TB, dir string) []Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no case file (*.txtar) in %s: %v", dir, err)
	}
	cases := make([]Case, len(files))
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if cases[i], err = Parse(b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases[i].Name = strings.TrimSuffix(filepath.Base(file), ".txtar")
		cases[i].Want.File = file
	}
	return cases
}

// LoadMarkdown reads the cases in a document.
func LoadMarkdown(t testing.TB, file string) []Case {
	t.Helper()
	var cases []Case
	for i, block := range Blocks(t, file, "txtar") {
		c, err := Parse([]byte(block))
		if err != nil {
			t.Fatalf("%s: block %d: %v", file, i+1, err)
		}
		c.Name = fmt.Sprintf("%s, block %d", filepath.Base(file), i+1)
		cases = append(cases, c)
	}
	return cases
}

// Blocks are the fenced blocks of a document that name a language.
func Blocks(t testing.TB, file, language string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := testcase.Blocks(string(b), language)
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of %s", file, language)
	}
	return blocks
}

// Check holds a result against c.Want, as [testcase.Case.Compare] does.
func Check(t testing.TB, c Case, r Result) {
	t.Helper()
	if c.Want != nil && c.Want.File != "" && os.Getenv("MTATEST_UPDATE") == "1" {
		update(t, &c, r)
		return
	}
	for _, d := range c.Compare(r) {
		if d.What == "result" {
			t.Errorf("%s:\n got:\n%s\nwant:\n%s", c.Name, indent(r.Text()), indent(string(d.Want)))
			continue
		}
		t.Errorf("%s: %s differs at octet %d\n got:\n%s\nwant:\n%s", c.Name, d.What,
			firstDifference(d.Got, d.Want), visible(d.Got), visible(d.Want))
	}
}

// update writes what came of a case into its file.
func update(t testing.TB, c *Case, r Result) {
	t.Helper()
	b, err := os.ReadFile(c.Want.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Want.File, testcase.Update(b, c, r), 0o644); err != nil {
		t.Fatal(err)
	}
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// visible shows octets a line each, with all that a terminal would hide.
func visible(b []byte) string {
	var s strings.Builder
	for line := range bytes.Lines(b) {
		fmt.Fprintf(&s, "    %q\n", line)
	}
	return s.String()
}
