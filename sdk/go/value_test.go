package mta

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// read fills v from JSON, as Config does with the host's.
func fill(t *testing.T, text string, v any) error {
	t.Helper()
	root, err := parseJSON([]byte(text))
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	return root.Into(v)
}

type sample struct {
	Name    string            `json:"name"`
	Count   int8              `json:"count"`
	Ratio   float64           `json:"ratio"`
	On      *bool             `json:"on"`
	Limit   Size              `json:"limit"`
	Wait    Duration          `json:"wait"`
	Rules   []sampleRule      `json:"rules"`
	Names   map[string]string `json:"names"`
	Ordered Ordered[string]   `json:"ordered"`
	Any     Value             `json:"any"`
	hidden  string
}

type sampleRule struct {
	Folder string `json:"folder"`
}

func TestConfigFillsAStruct(t *testing.T) {
	got := sample{Name: "default", Count: 5}
	err := fill(t, `{"count": -7, "ratio": 0.5, "on": false, "limit": "10MiB", "wait": "1h30m",
		"rules": [{"folder": "a"}, {"folder": "b"}], "names": {"x": "y"},
		"ordered": {"z": "1", "a": "2", "m": "3"}, "any": ["x", 1]}`, &got)
	if err != nil {
		t.Fatal(err)
	}
	off := false
	want := sample{
		Name: "default", Count: -7, Ratio: 0.5, On: &off, Limit: 10 << 20, Wait: Duration(90 * 60 * 1e9),
		Rules: []sampleRule{{"a"}, {"b"}}, Names: map[string]string{"x": "y"},
		Ordered: Ordered[string]{{"z", "1"}, {"a", "2"}, {"m", "3"}},
		Any:     Value{kind: kindList, items: []Value{{kind: kindText, text: "x"}, {kind: kindNumber, text: "1"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf(" got %+v\nwant %+v", got, want)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"key with a wrong letter", `{"nmae": "x"}`, `unknown key "nmae"; did you mean "name"?`},
		{"unknown key", `{"colour": "x"}`, `unknown key "colour"; known keys are name, count`},
		{"key of the wrong case", `{"Name": "x"}`, `did you mean "name"?`},
		{"field that is not exported", `{"hidden": "x"}`, `unknown key "hidden"`},
		{"key twice", `{"name": "a", "name": "b"}`, "name: is given twice"},
		{"number for text", `{"name": 5}`, "name: got the number 5, want text"},
		{"truth for text", `{"name": true}`, "name: got true without quotes, want text"},
		{"text for number", `{"count": "5"}`, `count: got the text "5", want a whole number`},
		{"number too large", `{"count": 500}`, "count: got the number 500, want a whole number that is not so large"},
		{"fraction", `{"count": 1.5}`, "count: got the number 1.5, want a whole number"},
		{"list for mapping", `{"names": []}`, "names: got a list, want a mapping"},
		{"text for list", `{"rules": "x"}`, `rules: got the text "x", want a list`},
		{"place in a list", `{"rules": [{}, {"foldr": "x"}]}`, `rules[1]: unknown key "foldr"; did you mean "folder"?`},
		{"kind in a list", `{"rules": [{"folder": []}]}`, "rules[0].folder: got a list, want text"},
		{"size without a unit", `{"limit": 5}`, "limit: 5 has no unit; write 5B, or as in 10MiB"},
		{"size with a wrong unit", `{"limit": "5 parsecs"}`, `limit: "5 parsecs" is no number with its unit`},
		{"size too large", `{"limit": "99999999999GiB"}`, "is no number with its unit"},
		{"all findings at once", `{"name": 1, "ratio": "x"}`, `name: got the number 1, want text; ratio: got the text "x", want a number`},
		{"ordered mapping", `{"ordered": {"a": 1}}`, "ordered.a: got the number 1, want text"},
		{"no mapping at all", `[]`, "config: got a list, want a mapping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v sample
			err := fill(t, tt.in, &v)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzParseJSON holds the parser against encoding/json.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `{"a":[1,2.5e-3,-0],"b":{"c":null,"d":true}}`, `"\u00e9\ud83d\ude00\ud800x\n"`, `[1,]`,
		`{"a"}`, `01`, `1.`, `-`, `"`, "\"\x01\"", ` [ { "x" : false } ] `, `nul`, `1e5`, `1E+5`, "\"\xff\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseJSON([]byte(s))
		var want any
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		valid := json.Valid([]byte(s)) && strings.ToValidUTF8(s, "") == s
		if (err == nil) != valid {
			if err != nil && strings.Count(s, "[")+strings.Count(s, "{") > maxNesting {
				return
			}
			t.Fatalf("%q: got %v, encoding/json says %t", s, err, valid)
		}
		if err != nil || d.Decode(&want) != nil {
			return
		}
		if got := plain(v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v", s, got, want)
		}
	})
}

// plain is a value as encoding/json has it.
func plain(v Value) any {
	switch v.kind {
	case kindBool:
		return v.text == "true"
	case kindNumber:
		return json.Number(v.text)
	case kindText:
		return v.text
	case kindList:
		list := []any{}
		for _, item := range v.items {
			list = append(list, plain(item))
		}
		return list
	case kindMapping:
		m := map[string]any{}
		for _, p := range v.pairs {
			m[p.Key] = plain(p.Value)
		}
		return m
	}
	return nil
}

func TestUTF8TypeKeepsParameters(t *testing.T) {
	for _, tt := range []struct{ name, old, want string }{
		{"none", "", "text/plain; charset=utf-8"},
		{"replaced", "text/plain; charset=iso-8859-1", "text/plain; charset=utf-8"},
		{"others stay", `text/plain; format=flowed; CHARSET="x"; delsp=yes`, "text/plain; charset=utf-8; format=flowed; delsp=yes"},
		{"semicolon in quotes", `text/plain; name="a;charset=b\";c"; x=y`, `text/plain; charset=utf-8; name="a;charset=b\";c"; x=y`},
		{"junk", "text/plain;;; ;=", "text/plain; charset=utf-8"},
	} {
		if got := utf8Type("text/plain", tt.old); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "No, thank you", "No, thank you"},
		{"line break", "a\r\nb", "a  b"},
		{"cut between letters", strings.Repeat("é", 300), strings.Repeat("é", 245)},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
	} {
		if got := printable(tt.in, maxReplyText); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzUTF8Type holds that whatever a part says of itself, the new type is one
// line that begins with UTF-8, and names no other character set.
func FuzzUTF8Type(f *testing.F) {
	for _, s := range []string{"", "text/plain; charset=x; a=b", `a;b="c;charset=d\"`, ";;=;", "a;\tb=c", "x;charset*0=y", "a;b=\"", "\xff;\xff=\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := utf8Type("text/plain", s)
		if !strings.HasPrefix(got, "text/plain; charset=utf-8") || strings.ContainsAny(got, "\r\n\t\x00") {
			t.Fatalf("%q becomes %q", s, got)
		}
		_, params, _ := strings.Cut(got, ";")
		for n := 0; params != ""; n++ {
			var one string
			one, params = cutParameter(params)
			name, _, _ := strings.Cut(one, "=")
			if n > 0 && strings.EqualFold(strings.TrimSpace(name), "charset") {
				t.Fatalf("%q becomes %q", s, got)
			}
		}
	})
}

func TestLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "No,  thank you", "No,  thank you"},
		{"line break", "a\r\n\tb\x00", "a   b "},
		{"long gap", "a" + strings.Repeat(" ", 2000) + "b", "a" + strings.Repeat(" ", 64) + "b"},
		{"no UTF-8", "\xff\xc3\xa9", "\uFFFDé"},
	} {
		if got := Line(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
