package fault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Node is one server: a process of mta with a folder of its own. Its methods
// that start and end the process are for one goroutine; Addr is for all.
type Node struct {
	Name string // its hostname
	Dir  string // holds pipeline.yaml and the log

	State string // the folder that it writes to

	binary string
	env    []string
	ledger *Ledger
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended and its log is read

	mu     sync.Mutex
	addr   string        // of its smtp listener; empty while it is down
	ready  chan struct{} // closed once it serves
	shares bool          // it uses what nodes share: Redis
	last   []string      // the end of its log
	panics []string
	rss    int64 // peaks over all of its lives
	files  int
}

// startTime is how long a node may take to serve: a start reads the queue.
const startTime = time.Minute

// Addr is where it takes mail; a place where nobody listens while it is down.
func (n *Node) Addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addr == "" {
		return "127.0.0.1:1"
	}
	return n.addr
}

// spawn starts the process and does not wait until it serves.
func (n *Node) spawn() error {
	log, err := os.OpenFile(filepath.Join(n.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(n.binary, "--pipeline", filepath.Join(n.Dir, "pipeline.yaml"))
	cmd.Dir = n.Dir
	cmd.Env = append(os.Environ(), n.env...)
	cmd.SysProcAttr = withUs
	r, w, err := os.Pipe()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return errors.Join(err, log.Close(), r.Close())
	}
	n.mu.Lock()
	n.ready, n.shares = make(chan struct{}), false
	n.mu.Unlock()
	n.cmd, n.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		n.read(io.TeeReader(r, log))
		cmd.Wait()
		r.Close()
		log.Close()
		close(done)
	}(n.done)
	return nil
}

// start is spawn, and waits until the node serves.
func (n *Node) start() error {
	if err := n.spawn(); err != nil {
		return err
	}
	return n.serves()
}

func (n *Node) serves() error {
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case <-n.ready:
		return nil
	case <-n.done:
		return fmt.Errorf("%s ended: %v\n%s", n.Name, n.cmd.ProcessState, n.tail())
	case <-timer.C:
		return fmt.Errorf("%s does not serve within %v\n%s", n.Name, startTime, n.tail())
	}
}

// read follows the log.
func (n *Node) read(r io.Reader) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			n.line(line)
		}
		if err != nil {
			return
		}
	}
}

// tailLines is how much of a log is shown when a node fails.
const tailLines = 40

func (n *Node) line(line []byte) {
	var event struct{ Msg, Listener, Addr string }
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last = append(n.last, string(line)); len(n.last) > tailLines {
		n.last = n.last[1:]
	}
	for _, bad := range []string{"panic", "fatal error", "DATA RACE"} {
		if bytes.Contains(line, []byte(bad)) {
			n.panics = append(n.panics, strings.TrimSpace(string(line)))
		}
	}
	if json.Unmarshal(line, &event) != nil {
		return
	}
	switch {
	case event.Msg == "listening" && event.Listener == "smtp":
		n.addr = event.Addr
	case event.Msg == "serving":
		close(n.ready)
	case event.Msg == "queue store back":
		n.shares = true
	case event.Msg == "queue store away":
		n.shares = false
	}
}

// sharing tells whether it says that it uses Redis. While it does not, it lists
// no more than what it has itself.
func (n *Node) sharing() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shares
}

func (n *Node) tail() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.last, "")
}

// kill ends the process at once (SIGKILL), and enters that in the ledger.
func (n *Node) kill() {
	n.measure()
	now := time.Now()
	n.ledger.lapse(n.Name, now, now)
	n.end(syscall.SIGKILL)
}

// signalDead is the part of kill that can be done anywhere and takes no time.
func (n *Node) signalDead() {
	now := time.Now()
	n.cmd.Process.Kill()
	n.ledger.lapse(n.Name, now, now)
}

// end sends a signal and waits for the end of the process.
func (n *Node) end(sig os.Signal) {
	if n.cmd == nil {
		return
	}
	n.mu.Lock()
	n.addr = ""
	n.mu.Unlock()
	n.cmd.Process.Signal(sig)
	<-n.done
}

// stop has the process drain. One that takes too long is killed, which is an
// error.
func (n *Node) stop() error {
	n.measure()
	timer := time.AfterFunc(startTime, func() { n.cmd.Process.Kill() })
	defer timer.Stop()
	n.end(syscall.SIGTERM)
	if !n.cmd.ProcessState.Success() {
		return fmt.Errorf("%s does not end well on SIGTERM: %v\n%s", n.Name, n.cmd.ProcessState, n.tail())
	}
	return nil
}

// freeze stops the process for a while (SIGSTOP, SIGCONT).
func (n *Node) freeze(d time.Duration) {
	from := time.Now()
	n.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	n.ledger.lapse(n.Name, from, time.Now())
	n.cmd.Process.Signal(syscall.SIGCONT)
}

// measure notes how much memory and how many files the process has.
func (n *Node) measure() {
	proc := fmt.Sprintf("/proc/%d/", n.cmd.Process.Pid)
	var rss int64
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return // not Linux, or over
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(value, &rss)
		}
	}
	fds, _ := os.ReadDir(proc + "fd")
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rss, n.files = max(n.rss, rss<<10), max(n.files, len(fds))
}

// command runs `mta ARGS` beside the node.
func (n *Node) command(args ...string) ([]byte, error) {
	cmd := exec.Command(n.binary, append(args, "--pipeline", filepath.Join(n.Dir, "pipeline.yaml"))...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("mta %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out, nil
}
