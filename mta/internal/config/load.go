package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const maxFile = 1 << 20 // octets; the longest file in use has a few hundred lines

// Options is what checking needs to know of others. The zero Options leaves
// out what it cannot check.
type Options struct {
	// LookupEnv finds the variables of ${NAME}; nil is os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Compile type-checks a condition; nil: not checked. An error that has a
	// method Column() int says in which character of it the fault is, from 1.
	Compile func(when string) error
	// Password checks the form of a password hash; nil: only how it begins.
	Password func(hash string) error
	// AccountName returns the one right spelling of an account's name; nil: its
	// lower case.
	AccountName func(name string) (string, error)
	// Demo tells whether a hash is that of the demo password; nil: not checked.
	Demo func(hash string) bool
}

// Load reads the file and checks all that can be checked without starting
// anything. The Config is nil if there are findings.
func Load(path string, opts Options) (*Config, Findings) {
	text, err := readFile(path)
	if err != nil {
		return nil, Findings{{File: path, What: err.Error(), Cure: "name the file with --pipeline FILE"}}
	}
	return parse(path, text, opts)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plainError(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, plainError(err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("the file is over %d octets", maxFile)
	}
	return text, nil
}

// State returns the state folder of the file and looks at nothing else in it:
// the commands that talk to a running server work with a file that it would
// refuse by now.
func State(path string) (string, error) {
	text, err := readFile(path)
	if err != nil {
		return "", Findings{{File: path, What: err.Error(), Cure: "name the file with --pipeline FILE"}}
	}
	d := &decoder{file: path, dir: filepath.Dir(path), places: map[string]Pos{}}
	c := Defaults()
	c.State = d.join(c.State)
	if root := d.root(text); root != nil {
		for _, p := range d.pairs(root, "", "a mapping") {
			if p.name == "state" {
				file().decodeKey(d, p, "", &c)
			}
		}
	}
	return c.State, d.found().Err()
}

// parse is Load after reading.
func parse(path string, text []byte, opts Options) (*Config, Findings) {
	d := &decoder{file: path, dir: filepath.Dir(path), opts: opts, places: map[string]Pos{}}
	root := d.root(text)
	if root == nil {
		return nil, d.found()
	}
	c := Defaults()
	c.File, c.Dir, c.places = path, d.dir, d.places
	c.State = d.join(c.State)
	file().decode(d, root, "", &c)
	d.check(&c)
	if len(d.findings) > 0 {
		return nil, d.found()
	}
	return &c, nil
}

// root returns the file's one mapping, or nil with findings.
func (d *decoder) root(text []byte) *yaml.Node {
	if !d.isText(text) {
		return nil
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&doc)
	if err == nil && !isDocumentNull(&doc) {
		err = dec.Decode(&second)
		switch {
		case errors.Is(err, io.EOF):
			return d.mappingRoot(&doc)
		case err == nil:
			d.addAt(secondPos(&second), "", "a second document begins here", "one file is one configuration: put it into a file of its own")
			return nil
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		d.addAt(Pos{1, 1}, "", "the file says nothing", "begin with `hostname: mail.example.org`")
		return nil
	}
	d.notYAML(text, err)
	return nil
}

func isDocumentNull(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || isNull(doc.Content[0])
}

func secondPos(doc *yaml.Node) Pos {
	if len(doc.Content) > 0 {
		return posOf(doc.Content[0])
	}
	return posOf(doc)
}

func (d *decoder) mappingRoot(doc *yaml.Node) *yaml.Node {
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		d.add(root, "", "the file is "+describeNode(root), "begin with `hostname: mail.example.org`")
		return nil
	}
	return root
}

// isText refuses what is not UTF-8 text, with the place of the first octet
// that is not.
func (d *decoder) isText(text []byte) bool {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		d.addAt(Pos{1, 1}, "", "the file is UTF-16", "save it as UTF-8")
		return false
	}
	pos := Pos{1, 1}
	for rest := bytes.TrimPrefix(text, []byte("\ufeff")); len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == '\n':
			pos = Pos{pos.Line + 1, 0}
		case r == utf8.RuneError && n == 1:
			d.addAt(pos, "", fmt.Sprintf("octet 0x%02X is not UTF-8", rest[0]), "save the file as UTF-8")
			return false
		case r < ' ' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85:
			d.addAt(pos, "", fmt.Sprintf("control character U+%04X", r), `remove it, or write it as "\x.." in double quotes`)
			return false
		}
		pos.Col++
		rest = rest[n:]
	}
	return true
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// cures are for the parser's messages that people meet.
var cures = []struct{ in, cure string }{
	{"mapping values are not allowed", "put a value that has a colon in quotes, and check the indentation"},
	{"did not find expected key", "check the indentation, and that quotes and brackets before it are closed"},
	{"could not find expected ':'", "write `key: value`, with a blank after the colon"},
	{"did not find expected ',' or", "close the bracket or brace"},
	{"unexpected end of stream", "close the quote, which may begin far above"},
	{"cannot start any token", "put a value that begins with one of @ ` % in quotes"},
	{"did not find expected '-' indicator", "begin every element of the list with `- `, in the same column"},
	{"unknown escape character", "write a backslash twice in double quotes, or use single quotes"},
	{"anchor", "write the value itself"},
}

// notYAML reports an error of the parser. It knows lines only, and for some
// errors only the one where the value began.
func (d *decoder) notYAML(text []byte, err error) {
	pos, what := placeError(text, err.Error())
	if tab, ok := tabIndent(text); ok && tab.Line <= pos.Line+1 {
		d.addAt(tab, "", "a tab in the indentation", "indent with spaces")
		return
	}
	cure := "check indentation, quotes and brackets there"
	for _, c := range cures {
		if strings.Contains(what, c.in) {
			cure = c.cure
			break
		}
	}
	d.addAt(pos, "", "not YAML: "+quotable(what), cure)
}

// placeError returns the place and the text of an error of the parser.
func placeError(text []byte, message string) (Pos, string) {
	m := yamlError.FindStringSubmatch(message)
	if m == nil {
		return Pos{1, 1}, message
	}
	line, _ := strconv.Atoi(m[1])
	if line > 0 && strings.HasPrefix(m[2], "did not find expected") {
		line++ // the grammar counts lines from 0, the scanner from 1
	}
	if name, ok := strings.CutPrefix(m[2], "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		before, _, _ := bytes.Cut(text, []byte("*"+name))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	line = max(line, 1)
	return Pos{line, firstColumn(text, line)}, m[2]
}

// firstColumn is where line begins to say something.
func firstColumn(text []byte, line int) int {
	lines := bytes.SplitN(text, []byte("\n"), line+1)
	if line > len(lines) {
		return 1
	}
	this := lines[line-1]
	return 1 + len(this) - len(bytes.TrimLeft(this, " "))
}

// tabIndent finds the first tab that indents something.
func tabIndent(text []byte) (Pos, bool) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 && len(bytes.TrimSpace(line)) > 0 {
			return Pos{i + 1, tab + 1}, true
		}
	}
	return Pos{}, false
}
