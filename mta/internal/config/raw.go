package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// raw is a mapping that this package does not know: the config of a plugin. It
// becomes JSON with its keys in the order of the file. Nothing in it is filled
// in.
type raw struct{}

func (raw) decode(d *decoder, n *yaml.Node, at string, v *json.RawMessage) {
	if isNull(n) {
		return
	}
	if d.usable(n, at) && n.Kind != yaml.MappingNode {
		d.wrongKind(n, at, "a mapping")
		return
	}
	var b bytes.Buffer
	writeJSON(d, n, at, 0, &b)
	*v = b.Bytes()
}

func (raw) shape(*json.RawMessage) shape {
	return shape{words: "mapping of the plugin's own", schema: &schema{Type: []string{"object", "null"}}}
}

func writeJSON(d *decoder, n *yaml.Node, at string, depth int, b *bytes.Buffer) {
	switch {
	case depth > maxDepth:
		d.add(n, at, fmt.Sprintf("is nested deeper than %d", maxDepth), "make it flatter")
	case !d.usable(n, at):
	case n.Kind == yaml.MappingNode:
		writeObject(d, n, at, depth, b)
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			path := Index(at, i)
			d.place(path, item)
			writeJSON(d, item, path, depth+1, b)
		}
		b.WriteByte(']')
	default:
		writeScalar(d, n, at, b)
	}
}

func writeObject(d *decoder, n *yaml.Node, at string, depth int, b *bytes.Buffer) {
	b.WriteByte('{')
	for i, p := range d.pairs(n, at, "a mapping") {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(p.name, b)
		b.WriteByte(':')
		path := Key(at, p.name)
		d.place(path, p.value)
		writeJSON(d, p.value, path, depth+1, b)
	}
	b.WriteByte('}')
}

func writeScalar(d *decoder, n *yaml.Node, at string, b *bytes.Buffer) {
	text := strings.ReplaceAll(n.Value, "_", "")
	if tag := n.ShortTag(); (tag == "!!int" || tag == "!!float") && json.Valid([]byte(text)) {
		b.WriteString(text) // with all its digits
		return
	}
	switch n.ShortTag() {
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		b.WriteString(strconv.FormatBool(strings.EqualFold(n.Value, "true")))
	case "!!int":
		if i, ok := new(big.Int).SetString(text, 0); ok {
			b.WriteString(i.String())
			return
		}
		d.add(n, at, fmt.Sprintf("%q is not a number", quotable(n.Value)), "write digits, or put it in quotes")
	case "!!float":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			d.add(n, at, fmt.Sprintf("%q is not a number that JSON has", quotable(n.Value)), "put it in quotes")
			return
		}
		j, _ := json.Marshal(f) // never fails for a finite number
		b.Write(j)
	default:
		writeString(n.Value, b)
	}
}

func writeString(s string, b *bytes.Buffer) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.Encode(s) // never fails for a string and a buffer
	b.Truncate(b.Len() - 1)
}
