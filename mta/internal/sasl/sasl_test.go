package sasl

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errWrong = errors.New("wrong")

func onlyAlice(login, password string) error {
	if login == "alice" && password == "ketchup" {
		return nil
	}
	return errWrong
}

func TestServer(t *testing.T) {
	empty := "-" // no initial response
	for _, tt := range []struct {
		name, mechanism string
		responses       []string
		challenges      []string // of those that are not done
		err             error
	}{
		{name: "PLAIN", mechanism: "PLAIN", responses: []string{"\x00alice\x00ketchup"}},
		{name: "PLAIN, asked", mechanism: "plain", responses: []string{empty, "\x00alice\x00ketchup"}, challenges: []string{""}},
		{name: "PLAIN as oneself", mechanism: "PLAIN", responses: []string{"alice\x00alice\x00ketchup"}},
		{name: "PLAIN as another", mechanism: "PLAIN", responses: []string{"bob\x00alice\x00ketchup"}, err: ErrMalformed},
		{name: "PLAIN, wrong", mechanism: "PLAIN", responses: []string{"\x00alice\x00mustard"}, err: errWrong},
		{name: "PLAIN without a password", mechanism: "PLAIN", responses: []string{"\x00alice\x00"}, err: ErrMalformed},
		{name: "PLAIN with too few parts", mechanism: "PLAIN", responses: []string{"alice\x00ketchup"}, err: ErrMalformed},
		{name: "PLAIN with too many", mechanism: "PLAIN", responses: []string{"\x00alice\x00ketchup\x00"}, err: ErrMalformed},
		{name: "PLAIN, not UTF-8", mechanism: "PLAIN", responses: []string{"\x00alice\x00\xff"}, err: ErrMalformed},
		{name: "PLAIN, too long", mechanism: "PLAIN", responses: []string{"\x00alice\x00" + strings.Repeat("a", 1025)}, err: ErrMalformed},
		{name: "LOGIN", mechanism: "LOGIN", responses: []string{empty, "alice", "ketchup"}, challenges: []string{"Username:", "Password:"}},
		{name: "LOGIN, initial response", mechanism: "login", responses: []string{"alice", "ketchup"}, challenges: []string{"Password:"}},
		{name: "LOGIN, wrong", mechanism: "LOGIN", responses: []string{"alice", "mustard"}, challenges: []string{"Password:"}, err: errWrong},
		{name: "LOGIN without a login", mechanism: "LOGIN", responses: []string{"", "ketchup"}, challenges: []string{"Password:"}, err: ErrMalformed},
		{name: "LOGIN with NUL", mechanism: "LOGIN", responses: []string{"alice\x00", "ketchup"}, challenges: []string{"Password:"}, err: ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, ok := NewServer(tt.mechanism, onlyAlice)
			if !ok {
				t.Fatal("no such mechanism")
			}
			for i, r := range tt.responses {
				var response []byte
				if r != empty {
					response = []byte(r)
				}
				challenge, done, err := server.Next(response)
				if last := i == len(tt.responses)-1; last {
					if !errors.Is(err, tt.err) || err == nil && !done {
						t.Errorf("got %v, done %t; want %v", err, done, tt.err)
					}
					return
				}
				if err != nil || done || string(challenge) != tt.challenges[i] {
					t.Fatalf("after %q: %q, done %t, %v", r, challenge, done, err)
				}
			}
		})
	}
}

func TestServerOnce(t *testing.T) {
	for _, mechanism := range Mechanisms() {
		server, _ := NewServer(mechanism, func(string, string) error { return nil })
		for _, r := range []string{"\x00alice\x00ketchup", "ketchup"} {
			server.Next([]byte(r))
		}
		if _, _, err := server.Next([]byte("\x00alice\x00ketchup")); err == nil {
			t.Errorf("%s: a third response is taken", mechanism)
		}
	}
}

func TestUnknownMechanism(t *testing.T) {
	if _, ok := NewServer("GSSAPI", onlyAlice); ok {
		t.Error("we have no GSSAPI")
	}
	if _, ok := NewClient([]string{"GSSAPI"}, "alice", "ketchup"); ok {
		t.Error("we have no GSSAPI")
	}
}

// TestClientAndServer lets both sides talk to each other.
func TestClientAndServer(t *testing.T) {
	for name, offered := range map[string][]string{
		Plain: {"LOGIN", "plain", "GSSAPI"},
		Login: {"login"},
	} {
		client, ok := NewClient(offered, "alice", "ketchup")
		if !ok {
			t.Fatalf("%s: nothing found in %v", name, offered)
		}
		mechanism, response, err := client.Start()
		if err != nil || mechanism != name {
			t.Fatalf("got %s, %v, want %s", mechanism, err, name)
		}
		server, _ := NewServer(mechanism, onlyAlice)
		for range 5 {
			challenge, done, err := server.Next(response)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if done {
				break
			}
			if response, err = client.Next(challenge); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if _, err := client.Next(nil); err == nil {
			t.Errorf("%s: the client answers a challenge too many", name)
		}
	}
}

func FuzzServer(f *testing.F) {
	f.Add("PLAIN", []byte("\x00alice\x00ketchup"), []byte{})
	f.Add("LOGIN", []byte("alice"), []byte("ketchup"))
	f.Fuzz(func(t *testing.T, mechanism string, first, second []byte) {
		server, ok := NewServer(mechanism, onlyAlice)
		if !ok {
			return
		}
		for _, response := range [][]byte{first, second} {
			if _, done, err := server.Next(response); done || err != nil {
				return
			}
		}
	})
}
