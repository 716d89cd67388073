package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A conditionError is an error of a condition with its place.
type conditionError struct{ column int }

func (conditionError) Error() string { return "unknown name nope; did you mean note?" }
func (e conditionError) Column() int { return e.column }

// testOptions stand for the packages that know more.
var testOptions = Options{
	LookupEnv: func(name string) (string, bool) {
		v, ok := map[string]string{"EMPTY": "", "PASSWORD": "p@ss:w/rd", "HASH": "$argon2id$x", "URL": "smtps://bob:x@mx.example.org:465"}[name]
		return v, ok
	},
	Compile: func(when string) error {
		if i := strings.Index(when, "nope"); i >= 0 {
			return conditionError{i + 1}
		}
		return nil
	},
	Password: func(hash string) error {
		if !strings.HasPrefix(hash, "$argon2id$") {
			return errors.New("it is not argon2id")
		}
		return nil
	},
	AccountName: func(name string) (string, error) {
		if strings.Contains(name, "/") {
			return "", fmt.Errorf("not an account name: %q has a slash", name)
		}
		return strings.ToLower(name), nil
	},
	Demo: func(hash string) bool { return hash == "$argon2id$demo" },
}

// wanted returns the values of the comment lines `# word: …` in text.
func wanted(text []byte, word string) (lines []string) {
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "# "+word+": "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// Each file of testdata/bad has mistakes of one kind, and the findings about
// them as comments.
func TestMistakesAreFoundWithPlaceAndCure(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c, findings := Load(name, testOptions)
			var got []string
			for _, f := range findings {
				got = append(got, strings.TrimPrefix(f.String(), name+":"))
			}
			if c != nil {
				t.Error("the file was taken")
			}
			if diff := cmp.Diff(wanted(text, "want"), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
