package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described finds the operations of openapi.json.
var described = sync.OnceValue(func() routers.Router {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		panic(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return router
})

// valid is a transport that holds every request and every answer against
// openapi.json.
type valid struct {
	t    *testing.T
	next http.RoundTripper
}

func (v valid) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body, sent.Body = io.NopCloser(bytes.NewReader(b)), io.NopCloser(bytes.NewReader(b))
	}
	answer, err := v.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	v.check(sent, answer.StatusCode, answer.Header, b)
	return answer, nil
}

// check holds an exchange against openapi.json. What is refused may be anything
// but of an answer that is not described.
func (v valid) check(r *http.Request, status int, header http.Header, body []byte) {
	v.t.Helper()
	route, params, err := described().FindRoute(r)
	if err != nil {
		if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			v.t.Errorf("%s %s: answered %d, and is not described: %v", r.Method, r.URL, status, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil && status/100 == 2 {
		v.t.Errorf("%s %s: %d, though the description forbids it: %v", r.Method, r.URL, status, err)
	}
	for _, part := range parts(header, body) {
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: in.Options}
		out.SetBodyBytes(part)
		if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
			v.t.Errorf("%s %s: %d: %v\n%s", r.Method, r.URL, status, err, part)
		}
	}
}

// parts are what a body has to be valid by: each line, or the whole.
func parts(header http.Header, body []byte) [][]byte {
	if header.Get("Content-Type") != mediaLines {
		return [][]byte{body}
	}
	return bytes.Split(bytes.TrimSpace(body), []byte("\n"))
}

func init() {
	decode := func(r io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		var v any
		err := json.NewDecoder(r).Decode(&v)
		if err == io.EOF {
			return map[string]any{"error": "no lines"}, nil
		}
		return v, err
	}
	openapi3filter.RegisterBodyDecoder(mediaLines, decode)
	openapi3filter.RegisterBodyDecoder(mediaProblem, decode)
	openapi3filter.RegisterBodyDecoder(mediaMessage, openapi3filter.PlainBodyDecoder)
}

// TestTheValidatorFindsWhatIsWrong holds the tests' own means.
func TestTheValidatorFindsWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		method, target, body string
		status               int
		media, answer        string
	}{
		"a field that is not described": {"GET", "/v1/queue/rules", "", 200, mediaJSON, `{"rules":[],"x":1}`},
		"one that is missing":           {"GET", "/v1/about", "", 200, mediaJSON, `{"version":"1"}`},
		"a status":                      {"GET", "/v1/about", "", 404, mediaProblem, `{"title":"x","status":404,"detail":"x"}`},
		"a word that is none":           {"GET", "/v1/queue/stats?by=colour", "", 200, mediaJSON, `{}`},
		"a body":                        {"POST", "/v1/queue/drop", `{"fliter":{}}`, 200, mediaJSON, `{"changed":1}`},
		"a bad line":                    {"GET", "/v1/queue/messages", "", 200, mediaLines, `{"queue_id":"A1"}`},
		"a route":                       {"GET", "/v1/nothing", "", 200, mediaJSON, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &testing.T{}
			r, _ := http.NewRequest(test.method, test.target, strings.NewReader(test.body))
			r.Header.Set("Content-Type", mediaJSON)
			valid{t: fake}.check(r, test.status, http.Header{"Content-Type": {test.media}}, []byte(test.answer))
			if !fake.Failed() {
				t.Error("nothing was said against it")
			}
		})
	}
}
