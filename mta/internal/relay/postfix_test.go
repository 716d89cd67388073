package relay

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// smtpSink starts Postfix's smtp-sink and returns how to connect to it and the
// folder that it keeps messages in.
func smtpSink(t *testing.T, args ...string) (dial func(context.Context, string, string) (net.Conn, error), dir string) {
	t.Helper()
	program := testpeer.Need(t, "smtp-sink", "postfix")
	dir, err := os.MkdirTemp("", "sink") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	args = append([]string{"-d", filepath.Join(dir, "%M.")}, args...)
	if os.Geteuid() == 0 {
		os.Chmod(dir, 0o777)
		args = append([]string{"-u", "nobody"}, args...)
	}
	socket := filepath.Join(dir, "socket")
	cmd := exec.Command(program, append(args, "unix:"+socket, "100")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for until := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(until) {
			t.Fatalf("smtp-sink does not listen: %v", err)
		}
	}
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}, dir
}

// kept returns the contents that smtp-sink has, with how often. It writes its
// own header fields first, LF for CRLF, and an empty line at the end.
func kept(t *testing.T, dir string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[0-9]*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(b, []byte("\n\tby smtp-sink "))
		_, rest, _ = bytes.Cut(rest, []byte(";\n"))
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		all[string(bytes.TrimSuffix(rest, []byte("\n")))]++
	}
	return all
}

// corpus returns real messages with CRLF line ends.
func corpus(t *testing.T) map[string][]byte {
	t.Helper()
	root := filepath.Join("..", "..", "..", "..", "shared", "corpus")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no corpus of messages: %v", err)
	}
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext == ".md" || d.Name() == "LICENSE" {
			return err
		}
		b, err := os.ReadFile(path)
		b = bytes.ReplaceAll(b, []byte("\r"), nil)
		b = bytes.ReplaceAll(b, []byte{0}, nil)
		all[path] = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Real messages arrive at a real server to the octet.
func TestPostfixSink(t *testing.T) {
	messages := corpus(t)
	for _, lmtp := range []bool{false, true} {
		t.Run(fmt.Sprintf("LMTP %v", lmtp), func(t *testing.T) {
			scheme, args := SMTP, []string{}
			if lmtp {
				scheme, args = LMTP, []string{"-L"}
			}
			dial, dir := smtpSink(t, args...)
			r := &Relay{Hostname: "crepes.fr", Dial: dial, Routes: []Route{{"*", NewHop(scheme, "127.0.0.1", 25, "", "")}}}
			want := map[string]int{}
			var wg sync.WaitGroup
			places := make(chan struct{}, 20) // what a queue would have at work at one next hop
			for name, content := range messages {
				m := message(t, "bob@hamburger.edu", "carol@hamburger.edu")
				m.Content = mail.Bytes(content)
				text := strings.ReplaceAll(string(content), "\r\n", "\n")
				if !strings.HasSuffix(text, "\n") && text != "" {
					text += "\n" // RFC 5321 §4.1.1.4
				}
				want[text]++
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					for _, res := range r.Deliver(t.Context(), m, nil) {
						if res.Outcome != mail.Relayed || !res.DSN {
							t.Errorf("%s: got %s, %v", name, short(res), res.Err)
						}
					}
				})
			}
			wg.Wait()
			r.Close()
			got := kept(t, dir)
			for content, n := range want {
				if got[content] != n {
					t.Errorf("%d copies, want %d, of %.200q", got[content], n, content)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d messages arrived, want %d", len(got), len(want))
			}
		})
	}
}

// Each failure of a real server comes to what it should.
func TestPostfixSinkFails(t *testing.T) {
	for args, want := range map[string]mail.Outcome{
		"-q connect": mail.Deferred,
		"-q mail":    mail.Deferred,
		"-q rcpt":    mail.Deferred,
		"-q data":    mail.Deferred,
		"-q .":       mail.Deferred,
		"-Q rcpt":    mail.Deferred, // 421 and closed
		"-r mail":    mail.Deferred,
		"-r rcpt":    mail.Deferred,
		"-r .":       mail.Deferred,
		"-f mail":    mail.Bounced,
		"-f rcpt":    mail.Bounced,
		"-f data":    mail.Bounced,
		"-f .":       mail.Bounced,
		"-p":         mail.Relayed, // without PIPELINING
		"-8":         mail.Relayed, // without 8BITMIME
		"-e":         mail.Relayed, // without ESMTP
	} {
		t.Run(args, func(t *testing.T) {
			dial, _ := smtpSink(t, strings.Fields(args)...)
			r := &Relay{Hostname: "crepes.fr", Dial: dial, Routes: []Route{{"*", NewHop(SMTP, "127.0.0.1", 25, "", "")}}}
			defer r.Close()
			for range 3 {
				if res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]; res.Outcome != want {
					t.Errorf("got %s, %v", short(res), res.Err)
				}
			}
		})
	}
}
