package config

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Secrets stand in accounts.NAME.password, and in the URLs of relay.routes,
// domains.NAME.deliver and queue.store. There, and nowhere else, `file:PATH` as
// the whole value is the text of that file, and `${NAME}` is the environment
// variable. `$${` stands for `${`. The config of a stage belongs to its plugin and is left
// as it is: `${hostname}` in it is the plugin's own.

const maxSecret = 64 << 10 // octets of a secret's file; the longest are keys of a few KiB

var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
var variableName = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// fill returns the text of n with secrets filled in. What is filled in is
// never repeated by a finding. escape is for a piece within other text, so that
// a password may have any character in a URL.
func (d *decoder) fill(n *yaml.Node, at string, escape func(string) string) (string, bool) {
	if path, ok := strings.CutPrefix(n.Value, "file:"); ok {
		text, err := d.readSecret(path)
		if err != nil {
			d.add(n, at, fmt.Sprintf("%q cannot be read: %v", quotable(path), err), "make the file readable to the server, or name another one")
			return "", false
		}
		return text, true
	}
	ok := true
	text := variable.ReplaceAllStringFunc(n.Value, func(v string) string {
		if strings.HasPrefix(v, "$$") {
			return v[1:]
		}
		value, found := d.variable(n, at, v)
		ok = ok && found
		if v == n.Value {
			return value
		}
		return escape(value)
	})
	return text, ok
}

func (d *decoder) variable(n *yaml.Node, at, v string) (string, bool) {
	if !variableName.MatchString(v) {
		d.add(n, at, fmt.Sprintf("%q is not a variable", quotable(v)), "write ${NAME} with letters, digits and underscores, or $${ for a dollar and a brace")
		return "", false
	}
	name := v[2 : len(v)-1]
	value, ok := d.opts.lookupEnv(name)
	if !ok || value == "" {
		d.add(n, at, fmt.Sprintf("environment variable %q is not set", quotable(name)), "set it where the server is started")
		return "", false
	}
	return value, true
}

func (d *decoder) readSecret(path string) (string, error) {
	f, err := os.Open(d.join(path))
	if err != nil {
		return "", plainError(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", plainError(err)
	case len(b) > maxSecret:
		return "", fmt.Errorf("over %d octets", maxSecret)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("it is empty")
	}
	return text, nil
}

// join makes a path of the file one of this process.
func (d *decoder) join(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

func (o Options) lookupEnv(name string) (string, bool) {
	if o.LookupEnv != nil {
		return o.LookupEnv(name)
	}
	return os.LookupEnv(name)
}

// asIs fills in a piece without change.
func asIs(s string) string { return s }

// inURL escapes a piece for any part of a URL but its scheme.
func inURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
