package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad holds what any file must leave true: a Config or findings and never
// both, findings that have a place and are bounded, and plugin configs that
// are JSON.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxFile || strings.Contains(string(text), "file:") {
			return
		}
		c, findings := parse("testdata/fuzz.yaml", text, testOptions)
		if (c == nil) == (len(findings) == 0) {
			t.Fatalf("config %v and %d findings", c != nil, len(findings))
		}
		for i, finding := range findings {
			if finding.What == "" || finding.Cure == "" || i < maxFindings && finding.Line < 1 {
				t.Errorf("finding %q", finding)
			}
			if strings.ContainsAny(finding.String(), "\n\r\x00\x1b") || len(finding.String()) > 2000 {
				t.Errorf("finding %q", finding)
			}
		}
		if c == nil {
			return
		}
		for _, s := range c.Pipeline {
			if !json.Valid(s.Config) || s.Name == "" || s.Timeout <= 0 || s.Memory <= 0 {
				t.Errorf("stage %+v", s)
			}
		}
	})
}
