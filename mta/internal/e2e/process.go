// Package e2e tests the mta binary from the outside, as a process that real
// programs talk to. It has no part in the server.
package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; generous, because
// the machine may be busy and waiting ends as soon as it happens.
const patience = 90 * time.Second

// binary is the path of mta, built once for the whole test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mta-e2e-")
	if err != nil {
		return "", err
	}
	shared = dir
	path := filepath.Join(dir, "mta")
	out, err := exec.Command("go", "build", "-o", path, "github.com/wasmta/wasmta/mta").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// shared is the folder of the binary and of the cache of built plugins, which
// all servers of a run use.
var shared string

// Binary returns the path of mta, built from this checkout.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Root is the top of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A Server is a running mta.
type Server struct {
	Dir  string   // holds pipeline.yaml and var
	File string   // pipeline.yaml
	Env  []string // beside that of the test

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its log is read
	err  error         // how it ended; after done

	mu     sync.Mutex
	addrs  map[string]string // by listener
	events []Event
	raw    bytes.Buffer
	wake   chan struct{} // closed and replaced at each event
	stdout bytes.Buffer
}

// An Event is one line of the server's log.
type Event map[string]any

// Msg is the event's name.
func (e Event) Msg() string { s, _ := e["msg"].(string); return s }

// Str is an attribute as text.
func (e Event) Str(key string) string {
	if v, ok := e[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// Configure writes yaml as pipeline.yaml into a new folder, without starting.
// `ROOT` in the text becomes the top of the repository, for plugin paths.
func Configure(t testing.TB, yaml string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), wake: make(chan struct{})}
	s.File = filepath.Join(s.Dir, "pipeline.yaml")
	s.Rewrite(yaml)
	Binary(t)
	if err := os.MkdirAll(filepath.Join(s.Dir, "var"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(shared, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(shared, "cache"), filepath.Join(s.Dir, "var", "cache")); err != nil {
		t.Fatal(err)
	}
	return s
}

// Rewrite replaces pipeline.yaml.
func (s *Server) Rewrite(yaml string) {
	s.t.Helper()
	yaml = strings.ReplaceAll(yaml, "ROOT", Root(s.t))
	if !strings.Contains(yaml, "\nlog:") {
		yaml += "\nlog: {level: info, format: json}\n"
	}
	if err := os.WriteFile(s.File, []byte(yaml), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Start is [Configure] and [Server.Up].
func Start(t testing.TB, yaml string) *Server {
	t.Helper()
	s := Configure(t, yaml)
	s.Up()
	return s
}

// Up starts the process and waits until it serves. The test's end kills it.
func (s *Server) Up() {
	s.t.Helper()
	s.launch()
	if _, err := s.waitFor(func(e Event) bool { return e.Msg() == "serving" }, len(s.Events())); err != nil {
		s.t.Fatalf("mta does not serve: %v\n%s", err, s.Log())
	}
}

func (s *Server) launch() {
	s.t.Helper()
	cmd := exec.Command(Binary(s.t), "--pipeline", s.File)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.Env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout = &lockedWriter{mu: &s.mu, w: &s.stdout}
	s.mu.Lock()
	s.addrs = map[string]string{}
	s.events = nil
	s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		s.read(stderr)
		s.err = cmd.Wait()
		close(done)
	}()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		if s.t.Failed() {
			s.t.Logf("log of %s:\n%s", s.Dir, s.Log())
		}
	})
}

func (s *Server) read(r io.Reader) {
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.record(line)
		}
		if err != nil {
			return
		}
	}
}

func (s *Server) record(line []byte) {
	var e Event
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(line)
	if json.Unmarshal(line, &e) != nil {
		return
	}
	if e.Msg() == "listening" {
		s.addrs[e.Str("listener")] = e.Str("addr")
	}
	s.events = append(s.events, e)
	close(s.wake)
	s.wake = make(chan struct{})
}

// Events returns the log so far, since the last start.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Log is what the process wrote, for a failing test's output.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// Stdout is what the process printed for a person.
func (s *Server) Stdout() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdout.String()
}

// Wait returns the first event from index on that match accepts; it fails the
// test when none comes or the process ends.
func (s *Server) Wait(what string, match func(Event) bool) Event {
	s.t.Helper()
	e, err := s.waitFor(match, 0)
	if err != nil {
		s.t.Fatalf("waiting for %s: %v\n%s", what, err, s.Log())
	}
	return e
}

func (s *Server) waitFor(match func(Event) bool, from int) (Event, error) {
	deadline := time.After(patience)
	for i := from; ; {
		s.mu.Lock()
		if len(s.events) < i {
			i = 0
		}
		for ; i < len(s.events); i++ {
			if match(s.events[i]) {
				e := s.events[i]
				s.mu.Unlock()
				return e, nil
			}
		}
		wake, done := s.wake, s.done
		s.mu.Unlock()
		select {
		case <-wake:
		case <-done:
			select {
			case <-wake: // the last lines came with the end
			default:
				return nil, fmt.Errorf("the process ended: %v", s.err)
			}
		case <-deadline:
			return nil, fmt.Errorf("nothing within %v", patience)
		}
	}
}

// Addr is where a listener of the running server is.
func (s *Server) Addr(listener string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, ok := s.addrs[listener]
	if !ok {
		s.t.Fatalf("no listener %s", listener)
	}
	return addr
}

// Port is the port of [Server.Addr].
func (s *Server) Port(listener string) string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.Addr(listener))
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// Pid is the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process at once (SIGKILL).
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.done
}

// Signal sends a signal.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Stop asks the process to drain (SIGTERM) and fails the test unless it ends
// with code 0.
func (s *Server) Stop() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("mta does not end after SIGTERM\n%s", s.Log())
	}
	if s.err != nil {
		s.t.Fatalf("mta ended with %v\n%s", s.err, s.Log())
	}
}

// Command runs `mta ARGS --pipeline FILE` beside the server and returns what
// it printed and its exit code.
func (s *Server) Command(stdin string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := exec.Command(Binary(s.t), append(args, "--pipeline", s.File)...)
	cmd.Dir = s.Dir
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
