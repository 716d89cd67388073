package toolchain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A language is one that a plugin's source can be in.
type language struct {
	name    string   // as people write it
	marks   []string // patterns of files in the folder that tell the language
	program string   // what a plugin in it must have, for an error

	// recipe is how it is built, beside the files of the folder: flags, and
	// digests of what we add. Another recipe is a reason to build again.
	recipe func() []string

	// manifest says what goes into the module; [sources] for most.
	manifest func(ctx context.Context, j *job) (*manifest, error)

	// build leaves the module in j.out().
	build func(ctx context.Context, j *job) error

	// place puts the place of the first mistake on the first line of what the
	// compiler says. Nil: it is there.
	place func(output string) string
}

// languages are all that plugins can be written in.
var languages = []*language{&golang, &cpp, &c, &rust, &zig, &assemblyScript, &javaScript, &python, &ruby}

// detect tells the language of the plugin in dir.
func detect(dir string) (*language, error) {
	var found []*language
	var marks []string
	for _, l := range languages {
		marks = append(marks, l.marks[0])
		if slices.ContainsFunc(l.marks, func(mark string) bool { return matches(dir, mark) }) {
			found = append(found, l)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 2 && found[0] == &cpp && found[1] == &c:
		return &cpp, nil // they go together
	case len(found) > 1:
		return nil, fmt.Errorf("it holds sources in %s and in %s; keep those of one language in it", found[0].name, found[1].name)
	}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("it holds no source of a plugin; that is one of %s", strings.Join(marks, ", "))
}

func matches(dir, pattern string) bool {
	entries, err := os.ReadDir(dir)
	if before, after, ok := strings.Cut(pattern, "/"); ok {
		return matches(filepath.Join(dir, before), after)
	}
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		ok, err := filepath.Match(pattern, e.Name())
		return ok && err == nil && !e.IsDir()
	})
}
