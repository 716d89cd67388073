package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var (
	errNoDomain = errors.New("it has no domain")
	errNotName  = errors.New("its form is wrong")
)

// hideText keeps a name from standing twice in one finding.
func hideText(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("its form is wrong")
}

// part is a kind whose value is only a part of T.
func part[T, V any](k kind[V], of func(*T) *V) kind[T] { return partKind[T, V]{k, of} }

type partKind[T, V any] struct {
	kind kind[V]
	of   func(*T) *V
}

func (p partKind[T, V]) decode(d *decoder, n *yaml.Node, at string, v *T) {
	p.kind.decode(d, n, at, p.of(v))
}

func (p partKind[T, V]) shape(*T) shape { return p.kind.shape(nil) }

// accountName makes one spelling of an account's name: an address in lower case.
func accountName(o *Options, key string) (Account, string, error) {
	p, err := mail.ParsePath(key)
	if err == nil && (p.Domain == "" || p.Local == "") {
		err = errNoDomain
	}
	if err != nil {
		return Account{}, "", err
	}
	name := strings.ToLower(key)
	if o.AccountName != nil {
		if name, err = o.AccountName(key); err != nil {
			return Account{}, "", &unitError{what: err.Error()}
		}
	}
	return Account{Name: name}, name, nil
}

func routeName(_ *Options, key string) (Route, string, error) {
	name := strings.ToLower(key)
	if name == "*" {
		return Route{Domain: name}, name, nil
	}
	_, err := parseDomain(strings.TrimPrefix(name, "*."))
	return Route{Domain: name}, name, hideText(err)
}

func showRoutes(routes []Route) any {
	shown := map[string]string{}
	for _, r := range routes {
		shown[r.Domain] = r.To.String()
	}
	return shown
}

func parseHash(s string) (Secret, error) {
	if !strings.HasPrefix(s, "$argon2id$") {
		return "", &unitError{"is not a password hash", "put the account in with `mta account add`, or write the hash that begins with $argon2id$"}
	}
	return Secret(s), nil
}

func stageName() scalar[string] {
	k := text("name")
	k.schema.Pattern = `^[A-Za-z0-9_-]+$`
	k.parse = func(s string) (string, error) {
		if !isPlain(s) {
			return "", &unitError{fmt.Sprintf("%q is not a name", quotable(s)), "write letters, digits, - and _"}
		}
		return s, nil
	}
	return k
}

// plugins holds paths, or mappings with a path and a hash.
func plugins() dict[Plugin] {
	file := path(".wasm file or a folder of source")
	join := file.then
	file.then = func(d *decoder, n *yaml.Node, at string, v *string) {
		join(d, n, at, v)
		checkPlugin(d, n, at, *v)
	}
	return dict[Plugin]{
		what: "a name", want: "letters, digits, - and _",
		name: func(_ *Options, key string) (Plugin, string, error) {
			if !isPlain(key) {
				return Plugin{}, key, errNotName
			}
			return Plugin{Name: key}, key, nil
		},
		elem: pluginKind{
			short: part(file, func(p *Plugin) *string { return &p.Path }),
			long: object[Plugin]{keys: []key[Plugin]{
				required(field("path", file, func(p *Plugin) *string { return &p.Path }, "The `.wasm` file or the folder.")),
				field("sha256", sha256Hex(), func(p *Plugin) *string { return &p.SHA256 }, "Hash that the module must have, of a folder the module that is built from it; `mta plugin lock` writes it."),
			}},
		},
	}
}

// sha256Hex is a hash, in one spelling.
func sha256Hex() scalar[string] {
	return scalar[string]{
		words: "SHA-256", want: "64 hexadecimal digits, which `mta plugin lock` writes", tags: anyTags,
		schema: schema{Pattern: "^[0-9a-fA-F]{64}$"},
		parse: func(s string) (string, error) {
			if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
				return "", fmt.Errorf("%q is not a SHA-256", quotable(s))
			}
			return strings.ToLower(s), nil
		},
	}
}

// pluginKind is a path, or a mapping that has it.
type pluginKind struct {
	short kind[Plugin]
	long  kind[Plugin]
}

func (k pluginKind) decode(d *decoder, n *yaml.Node, at string, v *Plugin) {
	if n.Kind == yaml.MappingNode {
		k.long.decode(d, n, at, v)
		return
	}
	k.short.decode(d, n, at, v)
}

func (k pluginKind) shape(*Plugin) shape {
	short, long := k.short.shape(nil), k.long.shape(nil)
	return shape{words: "path", schema: &schema{OneOf: []*schema{short.schema, long.schema}}, keys: long.keys}
}

func checkPlugin(d *decoder, n *yaml.Node, at, path string) {
	info, err := exists(path)
	switch {
	case err != nil:
		d.add(n, at, fmt.Sprintf("%q: %v", quotable(n.Value), err), "paths are relative to the folder of this file")
	case info.IsDir():
		if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
			d.add(n, at, fmt.Sprintf("folder %q is empty", quotable(n.Value)), "name a folder with a plugin's source")
		}
	case filepath.Ext(path) != ".wasm":
		d.add(n, at, fmt.Sprintf("%q is not a .wasm file", quotable(n.Value)), "name a .wasm file, or the folder of the source")
	}
}
