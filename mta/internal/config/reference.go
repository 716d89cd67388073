package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// preface is what the reference says before the keys.
//
//go:embed reference.md
var preface string

// Reference is the page that explains every key, in Markdown.
func Reference() []byte {
	def := Defaults()
	var b bytes.Buffer
	b.WriteString(preface)
	for _, e := range file().shape(&def).keys {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", e.name, e.doc)
		if len(e.keys) == 0 {
			fmt.Fprintf(&b, "\nIt is a %s. %s\n", e.words, sentence(e))
			continue
		}
		b.WriteString("\n| key | value | default | meaning |\n|---|---|---|---|\n")
		writeKeys(&b, e.name, e)
	}
	return b.Bytes()
}

// sentence says what holds if the key is left out.
func sentence(e entry) string {
	switch def := defaultText(e.shape); {
	case e.required:
		return "It has to be given."
	case def != "":
		return "Left out, it is " + def + "."
	}
	return "It may be left out."
}

func writeKeys(b *bytes.Buffer, at string, e entry) {
	at += e.below
	for _, k := range e.keys {
		path := at + "." + k.name
		def := defaultText(k.shape)
		if k.required {
			def = "has to be given"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, escapeCell(k.words), escapeCell(def), escapeCell(k.doc))
		writeKeys(b, path, k)
	}
}

func escapeCell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func defaultText(s shape) string {
	switch v := s.schema.Default.(type) {
	case nil:
		return ""
	case string:
		return "`" + v + "`"
	default:
		j, _ := json.Marshal(v) // the schema has marshalled it already
		return "`" + string(j) + "`"
	}
}
