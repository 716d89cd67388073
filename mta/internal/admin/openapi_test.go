package admin

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

var update = flag.Bool("update", false, "write openapi.json")

// object is a JSON object.
type object = map[string]any

// A describer makes openapi.json of the table of routes and their types.
type describer struct{ schemas object }

func describe() []byte {
	d := &describer{schemas: object{}}
	paths := object{}
	for _, r := range routes() {
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path].(object)[strings.ToLower(r.method)] = d.operation(r)
	}
	text, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "mta, for operators", "version": "1",
			"description": "What `mta queue` and `mta version` ask a running server. On the socket `admin.sock` in the state folder whoever may open it is an operator. On listeners of `http` and `https` it is there if the pipeline file has `admin.tokens` or `admin.readers`, and takes one as a bearer token: over TLS, or from this machine.",
			"license":     object{"name": "MIT", "identifier": "MIT"},
		},
		"servers":    []any{object{"url": "/", "description": "This server."}},
		"security":   []any{object{"token": []any{}}, object{}},
		"paths":      paths,
		"components": object{"schemas": d.schemas, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "One of `admin.tokens`, or where no role is asked for of `admin.readers`. Not needed on the socket."}}},
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}

func (d *describer) operation(r route) object {
	op := object{"operationId": r.name, "summary": r.doc, "responses": d.responses(r)}
	if r.forOperators() { // roles are allowed for any kind of token (OpenAPI 3.1)
		op["security"] = []any{object{"token": []any{"operator"}}, object{}}
	}
	if ps := d.parameters(r); len(ps) > 0 {
		op["parameters"] = ps
	}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": object{mediaJSON: object{"schema": d.schema(reflect.TypeOf(r.body), "")}}}
	}
	return op
}

func (d *describer) responses(r route) object {
	ok := object{"description": "Done."}
	switch {
	case r.media == mediaMessage:
		ok["content"] = object{mediaMessage: object{}}
	case r.media == mediaLines:
		lines := []any{d.schema(reflect.TypeOf(r.answer), ""), d.schema(reflect.TypeFor[StreamError](), ""), d.schema(reflect.TypeFor[StreamNote](), "")}
		ok["content"] = object{mediaLines: object{"schema": object{"anyOf": lines, "description": "Each line is one of these."}}}
	default:
		ok["content"] = object{mediaJSON: object{"schema": d.schema(reflect.TypeOf(r.answer), "")}}
	}
	all := object{"200": ok}
	for _, status := range append([]int{400, 401, 403, 429, 500, 503}, r.problems...) {
		all[strconv.Itoa(status)] = d.problem(status)
	}
	if r.query != nil {
		all["422"] = d.problem(422)
	}
	if r.body != nil {
		all["413"] = d.problem(413)
	}
	return all
}

func (d *describer) problem(status int) object {
	return object{"description": http.StatusText(status) + ".", "content": object{mediaProblem: object{"schema": d.schema(reflect.TypeFor[Problem](), "")}}}
}

func (d *describer) parameters(r route) (all []any) {
	for _, part := range strings.Split(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			all = append(all, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	if r.query == nil {
		return all
	}
	for _, f := range fields(reflect.TypeOf(r.query)) {
		all = append(all, object{"name": f.name, "in": "query", "description": f.Tag.Get("doc"), "schema": d.field(f)})
	}
	return all
}

var textType = reflect.TypeFor[encoding.TextMarshaler]()

// schema describes a type; structs become components.
func (d *describer) schema(t reflect.Type, doc string) object {
	s := object{}
	switch {
	case t == timeType:
		s = object{"type": "string", "format": "date-time"}
	case t.Implements(textType):
		s = object{"type": "string"}
	case t.Kind() == reflect.Struct:
		d.component(t)
		s = object{"$ref": "#/components/schemas/" + t.Name()}
	case t.Kind() == reflect.Slice:
		s = object{"type": "array", "items": d.schema(t.Elem(), "")}
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Interface:
		s = object{"type": "object"}
	case t.Kind() == reflect.Map:
		s = object{"type": "object", "additionalProperties": d.schema(t.Elem(), "")}
	case t.Kind() == reflect.Bool:
		s = object{"type": "boolean"}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		s = object{"type": "integer"}
	case t.Kind() == reflect.String:
		s = object{"type": "string"}
	default:
		panic("no schema of " + t.String())
	}
	if doc != "" {
		s["description"] = doc
	}
	return s
}

// field describes a field with the bounds that its tags set.
func (d *describer) field(f field) object {
	s := d.schema(f.Type, f.Tag.Get("doc"))
	if words := f.Tag.Get("enum"); words != "" {
		s["enum"] = strings.Split(words, ",")
	}
	if most, err := strconv.Atoi(f.Tag.Get("max")); err == nil {
		s[map[reflect.Kind]string{reflect.String: "maxLength", reflect.Slice: "maxItems", reflect.Int: "maximum"}[f.Type.Kind()]] = most
	}
	if f.Type.Kind() == reflect.Int || f.Tag.Get("min") == "0" {
		s["minimum"] = 0
	}
	return s
}

func (d *describer) component(t reflect.Type) {
	if d.schemas[t.Name()] != nil {
		return
	}
	properties, required := object{}, []string{}
	d.schemas[t.Name()] = object{"type": "object", "properties": properties, "additionalProperties": false}
	for _, f := range fields(t) {
		properties[f.name] = d.field(f)
		if _, rest, _ := strings.Cut(f.Tag.Get("json"), ","); rest == "" {
			required = append(required, f.name)
		}
	}
	if len(required) > 0 {
		d.schemas[t.Name()].(object)["required"] = required
	}
}

// TestTheDescriptionIsThatOfTheRoutes makes openapi.json anew and compares.
func TestTheDescriptionIsThatOfTheRoutes(t *testing.T) {
	want := describe()
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(openAPI, want) {
		t.Error("openapi.json is not what the routes and their types say; run go generate ./...")
	}
}

// TestTheDescriptionIsValid holds it against OpenAPI itself, and every field
// against having words.
func TestTheDescriptionIsValid(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	for _, r := range routes() {
		if r.doc == "" || r.name == "" || r.serve == nil {
			t.Errorf("%s %s: no words, no name or no handler", r.method, r.path)
		}
		for _, v := range []any{r.query, r.body, r.answer} {
			if v != nil && reflect.TypeOf(v).Kind() == reflect.Struct {
				wantWords(t, reflect.TypeOf(v))
			}
		}
	}
}

func wantWords(t *testing.T, typ reflect.Type) {
	t.Helper()
	for _, f := range fields(typ) {
		if f.Tag.Get("doc") == "" && typ != reflect.TypeFor[mail.Client]() {
			t.Errorf("%s.%s has no words", typ.Name(), f.Name)
		}
		if f.Type.Kind() == reflect.Struct && !f.Type.Implements(textType) {
			wantWords(t, f.Type)
		}
	}
}
