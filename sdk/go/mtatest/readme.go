package mtatest

import (
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// CheckReadme holds a plugin's document to what the plugin is: its cases (the
// blocks of txtar) come out as written, the configurations in it (the blocks
// of yaml, which have a key config) load, and together they show every key of
// the type of config, the struct that the plugin reads.
func CheckReadme(t *testing.T, file string, config any) {
	t.Helper()
	RunMarkdown(t, file)
	shown := map[string]bool{}
	for _, block := range Blocks(t, file, "yaml") {
		var stage struct {
			Config yaml.Node `yaml:"config"`
		}
		if err := yaml.Unmarshal([]byte(block), &stage); err != nil {
			t.Errorf("%s: %v in\n%s", file, err, block)
			continue
		}
		text, err := yaml.Marshal(&stage.Config)
		if err != nil || stage.Config.IsZero() {
			t.Errorf("%s: no config in\n%s", file, block)
			continue
		}
		if r := Run(t, Case{Name: file, Config: string(text)}); r.LoadError != "" {
			t.Errorf("%s: %s in\n%s", file, r.LoadError, block)
		}
		collect(&stage.Config, shown)
	}
	for _, key := range keysOf(reflect.TypeOf(config), map[reflect.Type]bool{}) {
		if !shown[key] {
			t.Errorf("%s: no block of yaml shows the option %s", file, key)
		}
	}
}

// collect notes all keys in a configuration.
func collect(n *yaml.Node, keys map[string]bool) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			keys[c.Value] = true
		}
		collect(c, keys)
	}
}

// keysOf are the names of all fields that a configuration can set.
func keysOf(t reflect.Type, seen map[reflect.Type]bool) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keysOf(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" && f.IsExported() {
			keys = append(keys, name)
			keys = append(keys, keysOf(f.Type, seen)...)
		}
	}
	return keys
}
