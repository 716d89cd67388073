package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

const (
	maxFindings = 100 // a person reads no more; a hostile file could make millions
	maxDepth    = 64  // of nested values in a plugin's config
	maxQuoted   = 100 // characters of a value that a finding repeats
)

// A decoder is one reading of one file.
type decoder struct {
	file     string
	dir      string
	opts     Options
	places   map[string]Pos
	findings Findings // maxFindings at most
	more     int      // how many there were beyond that
}

// add reports a finding at n. An empty path is the file's top level.
func (d *decoder) add(n *yaml.Node, at, what, cure string) {
	d.addAt(posOf(n), at, what, cure)
}

func (d *decoder) addAt(p Pos, at, what, cure string) {
	if at != "" {
		what = quotable(at) + ": " + what
	}
	if len(d.findings) == maxFindings {
		d.more++
		return
	}
	d.findings = append(d.findings, Finding{File: d.file, Pos: p, What: oneLine(what), Cure: oneLine(cure)})
}

// found returns the findings in the order of the file.
func (d *decoder) found() Findings {
	d.findings.sort()
	if d.more > 0 {
		d.findings = append(d.findings, Finding{File: d.file, What: fmt.Sprintf("findings that are not shown: %d", d.more), Cure: "mend these first"})
	}
	return d.findings
}

// oneLine makes a finding one line, whatever it repeats.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// place remembers where the value at path stands.
func (d *decoder) place(at string, n *yaml.Node) { d.places[at] = posOf(n) }

func posOf(n *yaml.Node) Pos { return Pos{Line: n.Line, Col: n.Column} }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isEmpty tells whether n says nothing: null, "", [] or {}.
func isEmpty(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return n.Value == "" || isNull(n)
	}
	return n.Kind != yaml.AliasNode && len(n.Content) == 0
}

// describeNode says what kind of value n is.
func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	}
	return "text"
}

// plainTags are the tags that need no schema of their own. YAML 1.1's
// timestamp is text to us.
var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq"}

// usable refuses what YAML can do and this file cannot: aliases, which can
// grow a small file without bound, and tags.
func (d *decoder) usable(n *yaml.Node, at string) bool {
	switch tag := n.ShortTag(); {
	case n.Kind == yaml.AliasNode:
		d.add(n, at, fmt.Sprintf("%q is an alias", "*"+n.Value), "write the value itself")
	case !slices.Contains(plainTags, tag):
		d.add(n, at, fmt.Sprintf("tag %q is not known here", quotable(tag)), "remove it")
	default:
		return true
	}
	return false
}

// A pair is one key of a mapping and its value.
type pair struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

// pairs returns the entries of the mapping n without those that cannot be
// used, each of which is a finding. An empty n has none.
func (d *decoder) pairs(n *yaml.Node, at, want string) []pair {
	if !d.usable(n, at) || isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.wrongKind(n, at, want)
		return nil
	}
	pairs := make([]pair, 0, len(n.Content)/2)
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.usableKey(key, at) {
			continue
		}
		if line, ok := first[key.Value]; ok {
			d.add(key, at, fmt.Sprintf("key %q is here twice, first in line %d", quotable(key.Value), line), "keep one of them")
			continue
		}
		first[key.Value] = key.Line
		pairs = append(pairs, pair{key.Value, key, value})
	}
	return pairs
}

func (d *decoder) usableKey(key *yaml.Node, at string) bool {
	switch {
	case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
		d.add(key, at, `"<<" merges another mapping`, "write its keys here")
	case !d.usable(key, at):
	case key.Kind != yaml.ScalarNode:
		d.add(key, at, "a key is "+describeNode(key), "write a name")
	default:
		return true
	}
	return false
}

// items returns the elements of the list n; an empty n has none.
func (d *decoder) items(n *yaml.Node, at, want string) []*yaml.Node {
	if !d.usable(n, at) || isNull(n) {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	if n.Kind == yaml.ScalarNode {
		d.add(n, at, "is not a list", fmt.Sprintf("write [%s]", quotable(n.Value)))
		return nil
	}
	d.wrongKind(n, at, want)
	return nil
}

func (d *decoder) wrongKind(n *yaml.Node, at, want string) {
	d.add(n, at, "is "+describeNode(n), "write "+want)
}

// unknown reports a key that is none of names.
func (d *decoder) unknown(p pair, at string, names []string) {
	cure := "known keys are " + strings.Join(names, ", ")
	if near := Nearest(p.name, names); near != "" {
		cure = fmt.Sprintf("write %q", near)
	}
	d.add(p.key, at, fmt.Sprintf("unknown key %q", quotable(p.name)), cure)
}

// quotable shortens what a finding repeats.
func quotable(s string) string {
	if r := []rune(s[:min(len(s), 4*maxQuoted)]); len(r) > maxQuoted {
		return string(r[:maxQuoted]) + "…"
	}
	return s
}

// Nearest returns the name that s was most likely meant to be, or "".
func Nearest(s string, names []string) string {
	best, bestDistance := "", max(2, len(s)/3)+1
	if len(s) > maxQuoted {
		return ""
	}
	for _, name := range names {
		if n := distance(strings.ToLower(s), strings.ToLower(name)); n < bestDistance && n < len(name) {
			best, bestDistance = name, n
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour that makes b of a (optimal string alignment).
func distance(a, b string) int {
	var prev []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], prev[j-2]+1)
			}
		}
		prev, row = row, next
	}
	return row[len(b)]
}
