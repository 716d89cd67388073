package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	hashA = strings.Repeat("a", 64)
	hashB = strings.Repeat("b", 64)
)

func TestPinsAreWrittenWithNothingElse(t *testing.T) {
	for _, tt := range []struct{ name, plugins, want string }{
		{"a path", "  p: ../plugin   # mine\n", "  p: {path: ../plugin, sha256: A}   # mine\n"},
		{"a quoted path", "  p: \"../plugin\"\n", "  p: {path: \"../plugin\", sha256: A}\n"},
		{"a path in single quotes", "  p: '../plugin' # it's\n", "  p: {path: '../plugin', sha256: A} # it's\n"},
		{"a mapping", "  p: {path: ../plugin}\n", "  p: {path: ../plugin, sha256: A}\n"},
		{"a mapping with blanks", "  p: { path: ../plugin , }\n", "  p: { path: ../plugin, sha256: A , }\n"},
		{"a pin", "  p: {sha256: " + hashB + ", path: ../plugin} # old\n", "  p: {sha256: A, path: ../plugin} # old\n"},
		{"a pin in quotes", "  p: {path: ../plugin, sha256: '" + hashB + "'}\n", "  p: {path: ../plugin, sha256: A}\n"},
		{"a block", "  p:\n    # where\n    path: ../plugin # there\n  q: ../plugin\n", "  p:\n    # where\n    path: ../plugin # there\n    sha256: A\n  q: ../plugin\n"},
		{"a block with a pin", "  p:\n    sha256: " + hashB + "\n    path: ../plugin\n", "  p:\n    sha256: A\n    path: ../plugin\n"},
		{"two of two", "  p: ../plugin\n  second: ../plugin\n", "  p: {path: ../plugin, sha256: A}\n  second: {path: ../plugin, sha256: B}\n"},
		{"the value in the next line", "  p:\n    ../plugin\n", "  p:\n    {path: ../plugin, sha256: A}\n"},
		{"letters before it", "  # größer\n  p: ../plugin\n  ? second\n  : ../plugin # é\n", "  # größer\n  p: {path: ../plugin, sha256: A}\n  ? second\n  : {path: ../plugin, sha256: B} # é\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, tail := "# Mine.\n\nhostname: a.example # here\nplugins:\n", "\npipeline: []   # none\n"
			for _, form := range []func(string) string{
				func(s string) string { return s },
				func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") },
			} {
				text := form(head + tt.plugins + tail)
				want := form(head + strings.NewReplacer("sha256: A", "sha256: "+hashA, "sha256: B", "sha256: "+hashB).Replace(tt.want) + tail)
				got, findings := Pin("testdata/bad/test.yaml", []byte(text), testOptions, map[string]string{"p": hashA, "second": hashB})
				if len(findings) > 0 {
					t.Fatal(findings)
				}
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				again, findings := Pin("testdata/bad/test.yaml", got, testOptions, map[string]string{"p": hashA, "second": hashB})
				if len(findings) > 0 || string(again) != string(got) {
					t.Errorf("pinning again is not the same: %s\n%s", findings, again)
				}
			}
		})
	}
}

func TestAPathThatBracesWouldEndGetsQuotes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a,{b}.wasm"), nil)
	got, findings := Pin(filepath.Join(dir, "f.yaml"), []byte("hostname: a.example\nplugins:\n  p: a,{b}.wasm\n"), testOptions, map[string]string{"p": hashA})
	want := "hostname: a.example\nplugins:\n  p: {path: \"a,{b}.wasm\", sha256: " + hashA + "}\n"
	if len(findings) > 0 || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, findings, want)
	}
}

func TestOneLineFilesArePinned(t *testing.T) {
	got, findings := Pin("testdata/bad/test.yaml", []byte("{hostname: a.example, plugins: {p: ../plugin, second: {path: ../plugin}}}"), testOptions, map[string]string{"p": hashA, "second": hashB})
	want := "{hostname: a.example, plugins: {p: {path: ../plugin, sha256: " + hashA + "}, second: {path: ../plugin, sha256: " + hashB + "}}}"
	if len(findings) > 0 || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, findings, want)
	}
}

func TestWhatCannotBeEditedIsSaid(t *testing.T) {
	_, findings := Pin("testdata/bad/test.yaml", []byte("hostname: a.example\nplugins:\n  p: \"../\\\n    plugin\"\n"), testOptions, map[string]string{"p": hashA})
	want := "testdata/bad/test.yaml:3:6: plugins.p: stands here in a way that cannot be edited; write it on one line, as in {path: FILE, sha256: " + hashA + "}"
	if len(findings) != 1 || findings[0].String() != want {
		t.Errorf("got  %v\nwant %s", findings, want)
	}
}

func FuzzPin(f *testing.F) {
	f.Add("hostname: a.example\nplugins:\n  p: ../plugin\n")
	f.Add("hostname: a.example\nplugins: {p: {path: '../plugin', sha256: " + hashB + "}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, findings := Pin("testdata/bad/test.yaml", []byte(text), testOptions, map[string]string{"p": hashA})
		if len(findings) > 0 {
			return
		}
		c, findings := parse("testdata/bad/test.yaml", got, testOptions)
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		for _, p := range c.Plugins {
			if p.Name == "p" && p.SHA256 != hashA {
				t.Errorf("not pinned: %s", got)
			}
		}
	})
}
