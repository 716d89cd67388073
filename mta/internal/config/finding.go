package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Pos is a place in the file, counted from 1. The zero Pos is the file as a
// whole.
type Pos struct {
	Line int `json:"line"`
	Col  int `json:"col"` // in characters
}

// A Finding is one thing wrong with the file, with its place and its cure.
type Finding struct {
	File string `json:"file"`
	Pos
	What string `json:"what"` // begins with the path of the value: `pipeline[2].timeout: …`
	Cure string `json:"cure,omitempty"`
}

// String is `file:line:col: what; cure`.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Col)
	}
	b.WriteString(": ")
	b.WriteString(f.What)
	if f.Cure != "" {
		b.WriteString("; ")
		b.WriteString(f.Cure)
	}
	return b.String()
}

// Findings are what is wrong with a file, in the order of the file.
type Findings []Finding

// Error joins all of them, one a line.
func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err is fs as an error, nil if there are none.
func (fs Findings) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// sort puts fs in the order of the file. Findings of one place keep theirs.
func (fs Findings) sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// Key is the path of a key below parent, as findings and [Config.At] write it:
// `relay.allow`, `domains["hamburger.edu"]`. An empty parent is the top.
func Key(parent, name string) string {
	switch {
	case !isPlain(name):
		return fmt.Sprintf("%s[%q]", parent, name)
	case parent == "":
		return name
	}
	return parent + "." + name
}

// Index is the path of element i of the list at parent: `pipeline[2]`.
func Index(parent string, i int) string { return fmt.Sprintf("%s[%d]", parent, i) }

func isPlain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != ""
}

// At returns the place of the value at path, made of [Key] and [Index]. If the
// file does not give that value, it is the place of the nearest one around it.
func (c *Config) At(path string) Pos {
	for path != "" {
		if p, ok := c.places[path]; ok {
			return p
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return Pos{Line: 1, Col: 1}
}

// Finding is a finding about the value at path, for those who check later than
// [Load]: a plugin that refuses its config, an address that cannot be bound.
func (c *Config) Finding(path, what, cure string) Finding {
	return Finding{File: c.File, Pos: c.At(path), What: path + ": " + what, Cure: cure}
}
