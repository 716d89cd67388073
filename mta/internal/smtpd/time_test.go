package smtpd

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

// pipes is a listener whose connections are net.Pipes, for bubbles of synctest.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns the client's end of a new connection from addr; without one it
// comes from nowhere.
func (l *pipes) dial(addr string) net.Conn {
	client, server := net.Pipe()
	if addr != "" {
		server = fromAddr{server, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 40000))}
	}
	l.conns <- server
	return client
}

type fromAddr struct {
	net.Conn
	remote net.Addr
}

func (c fromAddr) RemoteAddr() net.Addr { return c.remote }

// inBubble runs srv over pipes, and sees that Serve ends.
func inBubble(t *testing.T, f func(t *testing.T, srv *Server, l *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t)
		l := newPipes()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		synctest.Wait()
		f(t, srv, l)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestSlowClients(t *testing.T) {
	for _, file := range transcript.Files(t, "testdata/slow/*.txt") {
		t.Run(file, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *Server, l *pipes) {
				transcript.Script{Timeout: time.Millisecond}.Run(t, l.dial(""), file)
			})
		})
	}
}

// firstLine reads what the server says next.
func firstLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Hour))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil && line == "" {
		return err.Error()
	}
	return line
}

func TestAClientThatDoesNotReadIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
		start := time.Now()
		conn := l.dial("") // and the greeting stays where it is
		defer conn.Close()
		synctest.Wait()
		srv.sessions.Wait(t.Context(), nil)
		if took := time.Since(start); took != srv.limits.Write {
			t.Errorf("ended after %v, want %v", took, srv.limits.Write)
		}
	})
}

func TestConnectionLimits(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
		srv.sessions.Connections, srv.sessions.PerAddress = 4, 2
		srv.RelayAllow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		expect := func(from, want string) net.Conn {
			t.Helper()
			conn := l.dial(from)
			if got := firstLine(t, conn); !strings.HasPrefix(got, want) {
				t.Errorf("from %s: got %q, want %s", from, got, want)
			}
			return conn
		}
		a := expect("192.0.2.1", "220 ")
		b := expect("192.0.2.1", "220 ")
		defer expect("192.0.2.1", "421 4.7.0 ").Close()
		c := expect("192.0.2.2", "220 ")
		d := expect("2001:db8::1", "220 ")
		defer expect("192.0.2.3", "421 4.3.2 ").Close()
		b.Close() // a refused session costs the next one nothing
		synctest.Wait()
		defer expect("192.0.2.1", "220 ").Close()
		a.Close()
		c.Close()
		d.Close()
		synctest.Wait()
		for range 3 { // clients of RelayAllow have no limit of their own
			defer expect("10.1.1.1", "220 ").Close()
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Run("an idle session gets 421 at once", func(t *testing.T) {
		inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
			conn := l.dial("")
			defer conn.Close()
			firstLine(t, conn)
			start := time.Now()
			done := shutdown(t, srv, time.Hour)
			if got := firstLine(t, conn); !strings.HasPrefix(got, "421 4.3.2 ") {
				t.Errorf("got %q", got)
			}
			if err := <-done; err != nil || time.Since(start) != 0 {
				t.Errorf("got %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("a transaction is finished", func(t *testing.T) {
		inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
			conn := l.dial("")
			open := writeFile(t, "S: 220 *\nC: HELO crepes.fr\nS: 250 *\nC: MAIL FROM:<a@crepes.fr>\nS: 250 *\n! sleep 1m\n"+
				"C: RCPT TO:<bob@hamburger.edu>\nS: 250 *\n! sleep 1m\nC: DATA\nS: 354 *\nC: .\nS: 250 *\nS: 421 4.3.2 *\n! closed\n")
			go func() {
				time.Sleep(30 * time.Second)
				if err := <-shutdown(t, srv, time.Hour); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			}()
			transcript.Script{Timeout: time.Second}.Run(t, conn, open)
			if got := len(srv.Queue.(*memoryQueue).messages()); got != 1 {
				t.Errorf("%d messages", got)
			}
			synctest.Wait()
		})
	})
	t.Run("a transaction that takes too long is cut off", func(t *testing.T) {
		inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
			conn := l.dial("")
			open := writeFile(t, "S: 220 *\nC: HELO crepes.fr\nS: 250 *\nC: MAIL FROM:<a@crepes.fr>\nS: 250 *\n! sleep 90s\nS: 421 4.3.2 *\n! closed\n")
			go func() {
				time.Sleep(30 * time.Second)
				if err := <-shutdown(t, srv, time.Minute); err != context.DeadlineExceeded {
					t.Errorf("Shutdown: %v", err)
				}
			}()
			transcript.Script{Timeout: time.Second}.Run(t, conn, open)
			synctest.Wait()
		})
	})
	t.Run("a policy that waits is told", func(t *testing.T) {
		inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
			srv.Policy = policyFunc(func(ctx context.Context, _ *mail.Transaction) (mail.Verdict, error) {
				<-ctx.Done()
				return mail.Continue, ctx.Err()
			})
			conn := l.dial("")
			open := writeFile(t, "S: 220 *\nC: HELO crepes.fr\nS: 250 *\nC: MAIL FROM:<a@crepes.fr>\nS: 250 *\n"+
				"C: RCPT TO:<bob@hamburger.edu>\nS: 250 *\nC: DATA\nS: 354 *\nC: .\nS: 451 4.3.0 *\nS: 421 *\n! closed\n")
			go func() {
				time.Sleep(30 * time.Second)
				if err := <-shutdown(t, srv, time.Minute); err != context.DeadlineExceeded {
					t.Errorf("Shutdown: %v", err)
				}
			}()
			transcript.Script{Timeout: time.Hour}.Run(t, conn, open)
			synctest.Wait()
		})
	})
}

// shutdown runs Shutdown on the side.
func shutdown(t *testing.T, srv *Server, patience time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- srv.Shutdown(ctx)
	}()
	return done
}

func TestAFailedSessionCostsNoOther(t *testing.T) {
	srv, q := newServer(t)
	srv.Policy = policyFunc(byLocalPart)
	addr := serve(t, srv)
	message := func(from string) string {
		return say(t, addr, "EHLO crepes.fr\r\nMAIL FROM:<"+from+"@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n.\r\nQUIT\r\n")
	}
	if got := message("panic"); !strings.Contains(got, "\r\n421 4.3.0 ") {
		t.Errorf("got %q", got)
	}
	if got := message("alice"); !strings.Contains(got, "queued as") || len(q.messages()) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	srv, _ := newServer(t)
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(newPipes()); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestAHandshakeThatNeverComes(t *testing.T) {
	serverTLS, _ := testTLS(t)
	inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
		srv.tls, srv.ImplicitTLS = serverTLS, true
		start := time.Now()
		conn := l.dial("")
		defer conn.Close()
		io.Copy(io.Discard, conn)
		if took := time.Since(start); took != srv.limits.Handshake {
			t.Errorf("ended after %v, want %v", took, srv.limits.Handshake)
		}
	})
}

func TestShutdownDoesNotWaitForAHandshake(t *testing.T) {
	serverTLS, _ := testTLS(t)
	inBubble(t, func(t *testing.T, srv *Server, l *pipes) {
		srv.tls, srv.ImplicitTLS = serverTLS, true
		conn := l.dial("")
		defer conn.Close()
		synctest.Wait()
		start := time.Now()
		if err := <-shutdown(t, srv, time.Hour); err != nil || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
