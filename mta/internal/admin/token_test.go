package admin

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

func sha256Of(token string) string {
	sum := sha256.Sum256([]byte(token))
	return sha256Prefix + hex.EncodeToString(sum[:])
}

// guardedServer is a server with two tokens: "long secret" of alice, and
// "slow secret" of bob, whose hash takes time. slow counts how often.
func guardedServer(q Queue) (s *Server, slow *int) {
	s, slow = newServer(q), new(int)
	s.Tokens = func() []Token {
		return []Token{{Name: "alice", Hash: sha256Of("long secret")}, {Name: "bob", Hash: "$slow$secret"}, {Name: "graphs", Hash: sha256Of("reading"), May: LookOnly}}
	}
	s.Verify = func(hash, token string) bool {
		*slow++
		return hash == "$slow$secret" && token == "slow secret"
	}
	return s, slow
}

// ask sends one request to the public handler.
func ask(t *testing.T, h http.Handler, method, target, from, token string, body ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(strings.Join(body, "")))
	r.RemoteAddr = from
	r.Header.Set("Content-Type", mediaJSON)
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if strings.HasPrefix(target, "/v1/") && !strings.Contains(target, "..") && w.Code != http.StatusNotFound {
		r.Body = io.NopCloser(strings.NewReader(strings.Join(body, ""))) // it was read
		valid{t: t}.check(r, w.Code, w.Header(), w.Body.Bytes())
	}
	return w
}

const here = "127.0.0.1:4711"

func TestTheAPIAsksForAToken(t *testing.T) {
	for _, test := range []struct {
		name, from, token string
		want              int
	}{
		{"the right one", here, "Bearer long secret", 200},
		{"one with a slow hash", here, "Bearer slow secret", 200},
		{"the scheme in other letters", here, "bearer long secret", 200},
		{"over IPv6", "[::1]:4711", "Bearer long secret", 200},
		{"none", here, "", 401},
		{"a wrong one", here, "Bearer longer secret", 401},
		{"its hash", here, "Bearer " + sha256Of("long secret"), 401},
		{"a long one", here, "Bearer " + strings.Repeat("x", maxToken+1), 401},
		{"a password", here, "Basic long secret", 401},
		{"the right one from elsewhere in plain text", "192.0.2.1:4711", "Bearer long secret", 403},
		{"no address", "@", "Bearer long secret", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := guardedServer(threeMessages())
			w := ask(t, s.Public(), "GET", "/v1/about", test.from, test.token)
			if w.Code != test.want {
				t.Errorf("%d, want %d: %s", w.Code, test.want, w.Body)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (test.want == 401) {
				t.Errorf("headers: %v", w.Header())
			}
		})
	}
}

func TestOverTLSATokenMayComeFromElsewhere(t *testing.T) {
	s, _ := guardedServer(threeMessages())
	r := httptest.NewRequest("GET", "/v1/about", nil)
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Authorization", "Bearer long secret")
	w := httptest.NewRecorder()
	if s.Public().ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

func TestWithoutTokensThereIsNoAPI(t *testing.T) {
	s := newServer(threeMessages())
	for _, none := range []func() []Token{nil, func() []Token { return nil }} {
		s.Tokens = none
		for _, target := range []string{"/v1/about", "/v1/openapi.json", "/v1/queue/messages", "/v1/x"} {
			if w := ask(t, s.Public(), "GET", target, here, "Bearer x"); w.Code != 404 {
				t.Errorf("%s: %d", target, w.Code)
			}
		}
	}
	s, _ = guardedServer(threeMessages())
	for _, target := range []string{"/debug/pprof/", "/v1/../debug/pprof/profile"} {
		if w := ask(t, s.Public(), "GET", target, here, "Bearer long secret"); w.Code == 200 {
			t.Errorf("%s is there", target)
		}
	}
}

func TestATokenIsNamedInTheLogAndActs(t *testing.T) {
	q := threeMessages()
	s, _ := guardedServer(q)
	w := ask(t, s.Public(), "POST", "/v1/queue/drop", here, "Bearer long secret", `{"filter":{"ids":["A1"]}}`)
	if w.Code != 200 || len(q.orders) != 1 || q.orders[0].Who != "token alice" || q.orders[0].Do != queue.Drop {
		t.Errorf("%d: %s; %+v", w.Code, w.Body, q.orders)
	}
	if w := ask(t, s.Public(), "GET", "/v1/nothing", here, "Bearer long secret"); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
}

// A reader may do nothing but look, whatever routes there are.
func TestAReaderLooksAndNothingElse(t *testing.T) {
	q := threeMessages()
	s, _ := guardedServer(q)
	h := s.Public()
	for _, r := range routes() {
		target := strings.NewReplacer("{id}", "A1", "{name}", "lawyer", "{address}", "bob@hamburger.edu").Replace(r.path)
		w := ask(t, h, r.method, target, here, "Bearer reading", `{"filter":{"ids":["A1"]}}`)
		changes := r.method != "GET" || strings.HasSuffix(r.path, "/content")
		if changes && w.Code != 403 || !changes && w.Code != 200 {
			t.Errorf("%s %s: %d: %s", r.method, target, w.Code, w.Body)
		}
	}
	if len(q.orders) != 0 {
		t.Errorf("carried out: %+v", q.orders)
	}
}

func TestWhoGuessesIsNotHeard(t *testing.T) {
	s, slow := guardedServer(threeMessages())
	now := noon
	s.Now = func() time.Time { return now }
	h := s.Public()
	for i := range freeFailures {
		if w := ask(t, h, "GET", "/v1/about", here, fmt.Sprint("Bearer ", i)); w.Code != 401 {
			t.Fatalf("guess %d: %d", i, w.Code)
		}
	}
	before := *slow
	w := ask(t, h, "GET", "/v1/about", here, "Bearer long secret")
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" || *slow != before {
		t.Errorf("one more: %d %v, %d slow hashes", w.Code, w.Header(), *slow-before)
	}
	if w := ask(t, h, "GET", "/v1/about", "[::1]:1", "Bearer long secret"); w.Code != 200 {
		t.Errorf("another address: %d", w.Code)
	}
	now = now.Add(failureTime)
	if w := ask(t, h, "GET", "/v1/about", here, "Bearer long secret"); w.Code != 200 {
		t.Errorf("later: %d", w.Code)
	}
}

func TestASlowHashIsComputedOnce(t *testing.T) {
	s, slow := guardedServer(threeMessages())
	now := noon
	s.Now = func() time.Time { return now }
	h := s.Public()
	for range 5 {
		ask(t, h, "GET", "/v1/about", here, "Bearer slow secret")
	}
	if *slow != 1 {
		t.Errorf("%d times", *slow)
	}
	now = now.Add(verifiedFor)
	if ask(t, h, "GET", "/v1/about", here, "Bearer slow secret"); *slow != 2 {
		t.Errorf("%d times once it is forgotten", *slow)
	}
	s.Tokens = func() []Token { return []Token{{Name: "bob", Hash: "$slow$other"}} }
	if w := ask(t, h, "GET", "/v1/about", here, "Bearer slow secret"); w.Code != 401 {
		t.Errorf("a token that was taken back: %d", w.Code)
	}
}

func TestManyAddressesTakeBoundedMemory(t *testing.T) {
	now := noon
	g := newGate(nil, func() time.Time { return now })
	for i := range 3 * maxAddresses {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
		g.failed(peerOf(r))
	}
	if n := len(g.failures); n > maxAddresses+1 {
		t.Errorf("%d addresses are remembered", n)
	}
	now = now.Add(failureTime)
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "192.0.2.1:1"
	if g.failed(peerOf(r)); len(g.failures) > 2 {
		t.Errorf("%d addresses are remembered after their time", len(g.failures))
	}
}
