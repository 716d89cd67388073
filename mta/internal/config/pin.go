package config

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Pin writes hashes of plugins into the text of a file: pins has them by the
// plugins' names. Everything else stays as it is, comments and blanks too, and
// the result is read again before it is given back. A finding says which
// plugin stands in the file in a way that cannot be edited.
func Pin(path string, text []byte, opts Options, pins map[string]string) ([]byte, Findings) {
	before, findings := parse(path, text, opts)
	if len(findings) > 0 {
		return nil, findings
	}
	d := &decoder{file: path, dir: before.Dir, places: map[string]Pos{}}
	e := &editor{text: text}
	for _, p := range d.pairs(d.root(text), "", "") {
		if p.name != "plugins" {
			continue
		}
		for _, plugin := range d.pairs(p.value, p.name, "") {
			hash, ok := pins[plugin.name]
			if ok && !e.pin(plugin.value, hash) {
				d.add(plugin.value, Key("plugins", plugin.name), "stands here in a way that cannot be edited",
					"write it on one line, as in {path: FILE, sha256: "+hash+"}")
			}
		}
	}
	if len(d.findings) > 0 {
		return nil, d.found()
	}
	edited := e.apply()
	return edited, checkEdit(path, before, edited, opts, pins)
}

// checkEdit reads the edited file: it says what it said before, and has the
// pins.
func checkEdit(path string, before *Config, edited []byte, opts Options, pins map[string]string) Findings {
	after, findings := parse(path, edited, opts)
	if len(findings) > 0 {
		return findings
	}
	want := *before
	want.Plugins = slices.Clone(before.Plugins)
	for i, p := range want.Plugins {
		want.Plugins[i].SHA256 = cmp.Or(strings.ToLower(pins[p.Name]), p.SHA256)
	}
	want.places, after.places = nil, nil
	if !reflect.DeepEqual(&want, after) {
		return Findings{{File: path, What: "editing it would change more than pins", Cure: "write the hashes that `mta plugin inspect` shows"}}
	}
	return nil
}

// An editor collects changes of a text.
type editor struct {
	text  []byte
	edits []textEdit
}

// A textEdit puts other text in the place of what is from one octet to
// another.
type textEdit struct {
	from, to int
	with     string
}

// pin edits the value of one plugin. It is false if that cannot be done.
func (e *editor) pin(n *yaml.Node, hash string) bool {
	if n.Kind == yaml.ScalarNode {
		from, to, ok := e.scalar(n)
		if ok {
			path := string(e.text[from:to])
			if n.Style == 0 && strings.ContainsAny(path, ",[]{}") { // not plain within braces
				path = strconv.Quote(path)
			}
			e.replace(from, to, "{path: "+path+", sha256: "+hash+"}")
		}
		return ok
	}
	at := -1
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "sha256":
			from, to, ok := e.scalar(n.Content[i+1])
			if ok {
				e.replace(from, to, hash)
			}
			return ok
		case "path":
			at = i
		}
	}
	return at >= 0 && e.insert(n, n.Content[at], n.Content[at+1], hash)
}

// insert adds a hash to a mapping that has a path and none.
func (e *editor) insert(n, key, value *yaml.Node, hash string) bool {
	_, at, ok := e.scalar(value)
	if !ok {
		return false
	}
	if n.Style&yaml.FlowStyle != 0 {
		e.replace(at, at, ", sha256: "+hash)
		return true
	}
	end := "\n"
	if bytes.Contains(e.text, []byte("\r\n")) {
		end = "\r\n"
	}
	line := strings.Repeat(" ", key.Column-1) + "sha256: " + hash
	if i := bytes.IndexByte(e.text[at:], '\n'); i >= 0 {
		e.replace(at+i+1, at+i+1, line+end)
	} else {
		e.replace(len(e.text), len(e.text), end+line)
	}
	return true
}

func (e *editor) replace(from, to int, with string) {
	e.edits = append(e.edits, textEdit{from, to, with})
}

func (e *editor) apply() []byte {
	slices.SortFunc(e.edits, func(a, b textEdit) int { return cmp.Compare(b.from, a.from) })
	text := slices.Clone(e.text)
	for _, x := range e.edits {
		text = slices.Replace(text, x.from, x.to, []byte(x.with)...)
	}
	return text
}

// offset is where n begins, in octets; -1 if it is not in the text.
func (e *editor) offset(n *yaml.Node) int {
	at := 0
	if bytes.HasPrefix(e.text, []byte("\ufeff")) {
		at = len("\ufeff")
	}
	for range n.Line - 1 {
		i := bytes.IndexByte(e.text[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
	}
	for range n.Column - 1 {
		if at >= len(e.text) || e.text[at] == '\n' {
			return -1
		}
		_, size := utf8.DecodeRune(e.text[at:])
		at += size
	}
	return at
}

// scalar is where a scalar stands that is on one line, with its quotes.
func (e *editor) scalar(n *yaml.Node) (from, to int, ok bool) {
	from = e.offset(n)
	if from < 0 {
		return 0, 0, false
	}
	line, _, _ := bytes.Cut(e.text[from:], []byte("\n"))
	for end := 1; end <= len(line); end++ { // the shortest text that says what n says
		var got yaml.Node
		if c := line[end-1]; n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && c != '\'' && c != '"' {
			continue
		}
		if n.Style == 0 && string(line[:end]) != n.Value {
			continue
		}
		if yaml.Unmarshal(line[:end], &got) == nil && len(got.Content) == 1 && got.Content[0].Value == n.Value && got.Content[0].Style == n.Style {
			return from, from + end, true
		}
	}
	return 0, 0, false
}
