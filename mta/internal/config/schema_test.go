package config

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

const root = "../../.." // of the repository

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("pipeline.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON returns what an editor checks: the value of the file's YAML. ok is
// false for a file that is not one document of YAML with text for keys.
func asJSON(text []byte) (v any, ok bool) {
	var y any
	if yaml.Unmarshal(text, &y) != nil {
		return nil, false
	}
	j, err := json.Marshal(y)
	if err != nil {
		return nil, false
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(j))
	return v, err == nil
}

// pipelines returns every pipeline file of the repository that is meant to be
// right.
func pipelines(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".git") || entry.Name() == "bad") {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if v, ok := asJSON(text); ok {
			if top, ok := v.(map[string]any); ok && top["hostname"] != nil {
				names = append(names, path)
			}
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatal("no pipeline files", err)
	}
	return names
}

func TestEveryPipelineOfTheRepositoryLoadsAndFitsTheSchema(t *testing.T) {
	s := compileSchema(t)
	for _, name := range pipelines(t) {
		t.Run(strings.TrimPrefix(filepath.ToSlash(name), root+"/"), func(t *testing.T) {
			if _, findings := Load(name, Options{LookupEnv: testOptions.LookupEnv}); len(findings) > 0 {
				t.Error(findings)
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			v, _ := asJSON(text)
			if err := s.Validate(v); err != nil {
				t.Error(err)
			}
		})
	}
}

// unseen are the mistakes that need more than one value, the outside world, or
// YAML itself to be found.
var unseen = map[string]string{
	"accounts":         "compares accounts with domains",
	"address-twice":    "compares addresses",
	"demo-password":    "needs the password",
	"hostname-address": "an address looks like a name",
	"duplicate-name":   "compares names",
	"routes":           "the order of keys is gone",
	"store-spool":      "compares keys",
	"second-document":  "an editor checks the first only",
	"tags":             "tags are gone once YAML is read",
	"tls-files":        "needs the files",
	"tls-needed":       "compares listeners with tls",
	"tls-half":         "compares cert with key",
	"tls-key-only":     "compares cert with key",
}

func TestTheSchemaSeesWhatASchemaCanSee(t *testing.T) {
	s := compileSchema(t)
	names, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, name := range names {
		kind := strings.TrimSuffix(filepath.Base(name), ".yaml")
		t.Run(kind, func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			v, ok := asJSON(text)
			if !ok {
				t.Skip("not YAML")
			}
			refused := s.Validate(v) != nil
			if why := unseen[kind]; refused == (why != "") {
				t.Errorf("refused by the schema: %v, though %q", refused, why)
			}
		})
	}
}
