package pop3d

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bob = "bob@hamburger.edu"

// people is Accounts: bob with the password hungry; mallory has to wait.
type people struct{}

type tooMany struct{}

func (tooMany) Error() string   { return "too many attempts" }
func (tooMany) Temporary() bool { return true }

func (people) Authenticate(_ context.Context, login, password string, _ netip.Addr) (string, error) {
	switch {
	case login == "mallory":
		return "", tooMany{}
	case login == "bob" && password == "hungry":
		return bob, nil
	}
	return "", errors.New("no such account, or not that password")
}

// ofSize is a message of so many octets.
func ofSize(octets int, begin string) string {
	const line = "How about pickles? And onions, and cheese, and a tomato for the vitamins.\r\n"
	text := begin + strings.Repeat(line, octets/len(line)+1)
	return text[:octets-2] + "\r\n"
}

// newStore has two messages for bob, of the sizes in the lecture.
func newStore(t testing.TB) *mailbox.Store {
	t.Helper()
	store, err := mailbox.Open(t.TempDir(), mailbox.Options{Hostname: "hamburger.edu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	add(t, store, ofSize(498, "Subject: one\r\n\r\nDo you like ketchup?\r\n"))
	add(t, store, ofSize(912, "Subject: two\r\n\r\n"))
	return store
}

func add(t testing.TB, store *mailbox.Store, text string) {
	t.Helper()
	if _, err := store.Append(bob, mailbox.Inbox, strings.NewReader(text), mailbox.Flags{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func newServer(t testing.TB) *Server {
	return &Server{Hostname: "hamburger.edu", Accounts: people{}, Store: newStore(t)}
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
		if err := <-served; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// left is how many messages bob has.
func left(t testing.TB, store *mailbox.Store) int {
	t.Helper()
	st, err := store.Status(bob, mailbox.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	return st.Messages
}

func TestTranscripts(t *testing.T) {
	leaves := map[string]int{"lecture.txt": 0, "pipelined.txt": 1}
	serverTLS, clientTLS := testTLS(t)
	for _, file := range transcript.Files(t, "testdata/*.txt") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			if strings.HasPrefix(name, "tls_") {
				srv.TLS = serverTLS
			}
			addr := serve(t, srv)
			transcript.Script{TLS: clientTLS}.Run(t, transcript.Dial(t, addr), file)
			want, ok := leaves[name]
			if !ok {
				want = 2
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := left(t, srv.Store); got != want {
				t.Errorf("%d messages are left, want %d", got, want)
			}
		})
	}
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
