package smtpd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stored is what a fake queue kept.
type stored struct {
	tx      mail.Transaction
	content string
}

// A memoryQueue keeps what it is given, or fails with err.
type memoryQueue struct {
	mu   sync.Mutex
	got  []stored
	fail error
}

func (q *memoryQueue) Enqueue(_ context.Context, tx *mail.Transaction) error {
	content, err := mail.ReadAll(tx.Content)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	for _, part := range append([]*mail.Transaction{tx}, tx.More...) {
		if len(part.Envelope.Recipients) > 0 {
			q.got = append(q.got, stored{tx: *part, content: string(content)})
		}
	}
	return nil
}

func (q *memoryQueue) messages() []stored {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.got
}

// body is a stored message without our Received:, which ends with the line of
// the date.
func (m stored) body() string {
	_, rest, _ := strings.Cut(m.content, ";\r\n\t")
	_, rest, _ = strings.Cut(rest, "\r\n")
	return rest
}

// people is a Directory: bob and postmaster at hamburger.edu, and alice with
// the password ketchup.
type people struct{}

type tooMany struct{}

func (tooMany) Error() string   { return "too many attempts" }
func (tooMany) Temporary() bool { return true }

func (people) Authenticate(_ context.Context, login, password string, _ netip.Addr) (string, error) {
	switch {
	case login == "mallory":
		return "", tooMany{}
	case login == "alice" && password == "ketchup":
		return "alice@hamburger.edu", nil
	}
	return "", errors.New("no such account, or not that password")
}

func (people) Recipient(_ context.Context, p mail.Path) (local, exists bool, err error) {
	if p.Domain == "broken.example" {
		return false, false, errors.New("the file with the accounts is gone: secret")
	}
	local = p.Domain == "" || strings.EqualFold(p.Domain, "hamburger.edu")
	name, _, _ := strings.Cut(p.Local, "+")
	return local, local && (name == "bob" || name == "x@z" || strings.HasPrefix(name, "list") || strings.EqualFold(name, "postmaster")), nil
}

// policyFunc is a Policy.
type policyFunc func(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error)

func (f policyFunc) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	return f(ctx, tx)
}

// Asks implements Policy: such a policy is for content alone.
func (policyFunc) Asks(string) bool { return false }

// Ask implements Policy.
func (policyFunc) Ask(_ context.Context, hook string, _ *mail.Transaction) (mail.Verdict, error) {
	panic("asked at " + hook)
}

// newServer is hamburger.edu with a queue in memory.
func newServer(t testing.TB) (*Server, *memoryQueue) {
	q := &memoryQueue{}
	return &Server{Hostname: "hamburger.edu", Queue: q, Directory: people{}, TempDir: t.TempDir()}, q
}

// serve runs srv on a port of loopback until the test ends.
func serve(t testing.TB, srv *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// testTLS returns the two sides of TLS for hamburger.edu.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "hamburger.edu"},
		DNSNames:     []string{"hamburger.edu"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "hamburger.edu"}
}

// say sends octets, closes the sending side, and returns all that comes back.
func say(t testing.TB, addr, octets string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(conn, octets)
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	<-done
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

// writeFile keeps a transcript that is made in a test.
func writeFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "transcript.txt")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
