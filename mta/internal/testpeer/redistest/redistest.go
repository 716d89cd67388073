// Package redistest runs real Redis servers for tests and for the fault harness:
// one, a master with replicas and Sentinels, or a Cluster. They can be killed,
// paused, restarted and failed over, and end with the program that started them.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

const (
	// startLimit is how long a server may take until it answers: it may have a
	// file to read.
	startLimit = 30 * time.Second

	// tries is how often another port is chosen: one that was free may be taken.
	tries = 5

	pollEvery = 5 * time.Millisecond
)

// Options say how a server is run.
type Options struct {
	// Dir is the folder for its files; empty: a temporary one, which goes with
	// Close. Each server needs its own.
	Dir string

	// Config is what stands in its redis.conf, beside an address and a folder. An
	// empty value takes away a default: appendonly yes, appendfsync always, save "".
	Config map[string]string

	Lines []string // more of it, such as several users
	Unix  bool     // it listens on a socket in its folder only
}

var defaults = map[string]string{
	"appendonly":  "yes",
	"appendfsync": "always",
	"save":        `""`,
	"daemonize":   "no",
	"loglevel":    "notice",
}

// A Server is one redis-server, or Sentinel. It can be used by several goroutines.
type Server struct {
	o    Options
	dir  string
	own  bool // dir goes with Close
	port int  // 0: a socket
	args []string

	mu   sync.Mutex
	cmd  *exec.Cmd // nil: it does not run
	log  *bytes.Buffer
	done chan struct{} // closed once cmd has ended
}

// Start runs a server and returns once it answers.
func Start(o Options) (*Server, error) {
	var err error
	for range tries {
		var s *Server
		if s, err = prepare(o); err != nil {
			return nil, err
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
		s.Close()
	}
	return nil, err
}

// prepare makes the folder and the file of a server.
func prepare(o Options) (*Server, error) {
	s := &Server{o: o, dir: o.Dir}
	var err error
	if s.dir == "" {
		s.own = true
		if s.dir, err = os.MkdirTemp("", "redis"); err != nil {
			return nil, err
		}
	}
	if !o.Unix {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	return s, s.configure()
}

func (s *Server) configure() error {
	config := maps.Clone(defaults)
	config["port"] = strconv.Itoa(s.port)
	config["dir"] = s.dir
	config["bind"] = "127.0.0.1"
	if s.o.Unix {
		config["unixsocket"] = s.socket()
	}
	maps.Copy(config, s.o.Config)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if config[name] != "" {
			fmt.Fprintf(&b, "%s %s\n", name, config[name])
		}
	}
	for _, line := range s.o.Lines {
		b.WriteString(line + "\n")
	}
	s.args = []string{s.file()}
	return os.WriteFile(s.file(), []byte(b.String()), 0o600)
}

func (s *Server) file() string   { return filepath.Join(s.dir, "redis.conf") }
func (s *Server) socket() string { return filepath.Join(s.dir, "redis.sock") }

// freePort returns a port that is free now, as is the one 10000 above it, which a
// Cluster uses.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		bus, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+10000))
		if err == nil {
			bus.Close()
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}

// Restart runs a server that does not run, with the files it has, and returns
// once it answers and has read them.
func (s *Server) Restart() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.await(func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
}

func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("redis-server runs already")
	}
	cmd := exec.Command("redis-server", s.args...)
	s.log = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = withParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { // ends with the process, which Close ends
		cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done
	return nil
}

// await waits until f succeeds.
func (s *Server) await(f func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	c := s.Client()
	defer c.Close()
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	for {
		err := f(ctx, c)
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "NOPERM") {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("redis-server ended: %s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-time.After(pollEvery):
		}
	}
}

// Client returns a client for it, the caller's to close. It does not try again.
func (s *Server) Client() *redis.Client {
	quiet()
	o := &redis.Options{Addr: s.Addr(), Password: s.o.Config["requirepass"], MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true}
	return redis.NewClient(o)
}

// quiet keeps the client from printing that a server is not there yet.
var quiet = sync.OnceFunc(logging.Disable)

// Do runs one command and returns what it answered.
func (s *Server) Do(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	c := s.Client()
	defer c.Close()
	return c.Do(ctx, args...).Result()
}

// Addr is its host and port, or the path of its socket.
func (s *Server) Addr() string {
	if s.o.Unix {
		return s.socket()
	}
	return fmt.Sprintf("127.0.0.1:%d", s.port)
}

// URL is where the queue finds it.
func (s *Server) URL() string {
	login := ""
	if p := s.o.Config["requirepass"]; p != "" {
		login = ":" + url.QueryEscape(p) + "@"
	}
	if s.o.Unix {
		return "unix://" + login + s.socket()
	}
	return "redis://" + login + s.Addr()
}

// Dir is the folder with its files.
func (s *Server) Dir() string { return s.dir }

// Log is what it printed since it was started last.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return s.log.String()
	default:
		return "" // it is written to
	}
}

// Kill ends it at once, as a crash does. One that does not run stays so.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop ends it in order.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	s.cmd.Process.Signal(sig)
	if sig != syscall.SIGKILL {
		s.cmd.Process.Signal(syscall.SIGCONT) // it may be paused
	}
	select {
	case <-s.done:
	case <-time.After(startLimit):
		s.cmd.Process.Kill()
		<-s.done
	}
	s.cmd = nil
	return nil
}

// Pause stops it from doing anything; what is sent to it waits.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume has it go on.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("redis-server does not run")
	}
	return s.cmd.Process.Signal(sig)
}

// Wipe removes the data of a server that does not run.
func (s *Server) Wipe() error {
	for _, name := range []string{"appendonlydir", "appendonly.aof", "dump.rdb"} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Save copies the data of a server to a folder that is not there, so that Load
// can set it back. It may run.
func (s *Server) Save(to string) error {
	return os.CopyFS(to, os.DirFS(filepath.Join(s.dir, "appendonlydir")))
}

// Load replaces the data of a server that does not run by what Save copied.
func (s *Server) Load(from string) error {
	if err := s.Wipe(); err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(s.dir, "appendonlydir"), os.DirFS(from))
}

// Close ends it, and removes its folder if that was temporary.
func (s *Server) Close() error {
	err := s.Kill()
	if s.own {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
