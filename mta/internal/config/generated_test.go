package config

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files")

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	for name, want := range map[string][]byte{
		"../../pipeline.schema.json":  Schema(),
		"../../docs/pipeline.yaml.md": Reference(),
	} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table of keys says (%v); run go generate ./...", name, err)
		}
	}
}
