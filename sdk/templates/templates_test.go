package templates

import (
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	for _, l := range Languages {
		t.Run(l.Name, func(t *testing.T) {
			files, err := l.Files("my-plugin")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"README.md", "testdata/greeting.txtar"} {
				if files[want] == nil {
					t.Errorf("there is no %s", want)
				}
			}
			for file, b := range files {
				if strings.Contains(string(b), placeholder) {
					t.Errorf("%s has the placeholder", file)
				}
				if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, ".txt") {
					t.Errorf("%s is not of the plugin", file)
				}
			}
			if !strings.HasPrefix(string(files["README.md"]), "# my-plugin\n") {
				t.Error("the README is not about the plugin")
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "..", "a/b", "Greeting", "9lives", "a b", strings.Repeat("a", 65)} {
		if _, err := Languages[0].Files(bad); err == nil || !strings.Contains(err.Error(), "cannot be called") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, ok := Find("go"); !ok {
		t.Error("there is no Go")
	}
	if _, ok := Find("cobol"); ok {
		t.Error("there is COBOL")
	}
}
