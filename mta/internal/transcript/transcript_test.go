package transcript

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// echo answers each line in upper case, until QUIT.
func echo(t *testing.T) net.Conn {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		if _, err := server.Write([]byte("220 mx.example.org ready\r\n")); err != nil {
			return
		}
		in := bufio.NewScanner(server)
		for in.Scan() {
			line := strings.ToUpper(in.Text())
			if _, err := server.Write([]byte(line + "\r\n")); err != nil || line == "QUIT" {
				return
			}
		}
	}()
	t.Cleanup(func() { client.Close(); <-done })
	return client
}

func TestRun(t *testing.T) {
	for _, file := range Files(t, "testdata/*.txt") {
		Script{Vars: map[string]string{"host": "mx.example.org"}}.Run(t, echo(t), file)
	}
}

func TestPlayFindsTheDifference(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"another line":        {"S: 220 *\nC: a\nS: B\n", `:3: got "A", want "B"`},
		"no line":             {"S: 220 *\nS: more\n", ":2: got"},
		"still open":          {"S: 220 *\n! closed\n", ":2: the connection is still open"},
		"not closed yet":      {"! closed\n", `:1: got "220 mx.example.org ready"`},
		"unknown kind":        {"X: 1\n", ":1: "},
		"unknown action":      {"! fly\n", ":1: unknown action"},
		"skip without a goal": {"S: ...\nC: a\n", ":1: "},
		"bad Go string":       {"C! abc\n", ":1: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "t.txt")
			if err := os.WriteFile(file, []byte(tt.script), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Script{Timeout: 50 * time.Millisecond}.Play(echo(t), file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"*", "", true},
		{"*", "anything", true},
		{"250 *", "250 ok", true},
		{"250 *", "250-ok", false},
		{"*SIZE*", "250-SIZE 10", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b", "a-b-c", false},
		{`\* OK`, "* OK", true},
		{`\* OK`, "x OK", false},
		{`+OK`, "+OK more", false},
	} {
		if got := Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Match(%q, %q) = %t", tt.pattern, tt.s, got)
		}
	}
}
