package e2e

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// A sink is a next hop that counts, by their field X-Number, the messages that
// it took.
type sink struct {
	addr string

	mu   sync.Mutex
	seen map[string]int // by number and recipient
	last []byte         // content of the last message
}

func startSink(t testing.TB) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: l.Addr().String(), seen: map[string]int{}}
	srv := gosmtp.NewServer(s)
	srv.Domain = "sink.example"
	srv.EnableSMTPUTF8 = true
	srv.ErrorLog = discardLog{}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return s
}

type discardLog struct{}

func (discardLog) Printf(string, ...any) {}
func (discardLog) Println(...any)        {}

// NewSession implements gosmtp.Backend.
func (s *sink) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &sinkSession{sink: s}, nil }

func (s *sink) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int, len(s.seen))
	for k, n := range s.seen {
		counts[k] = n
	}
	return counts
}

type sinkSession struct {
	sink  *sink
	rcpts []string
}

func (s *sinkSession) Mail(string, *gosmtp.MailOptions) error { s.rcpts = nil; return nil }

func (s *sinkSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.rcpts = append(s.rcpts, to)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	number := numberOf(string(content))
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.last = content
	for _, rcpt := range s.rcpts {
		s.sink.seen[number+" "+rcpt]++
	}
	return nil
}

func (s *sinkSession) Reset()        {}
func (s *sinkSession) Logout() error { return nil }

// numberOf finds the value of X-Number.
func numberOf(content string) string {
	lines := bufio.NewScanner(strings.NewReader(content))
	for lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), "X-Number: "); ok {
			return number
		}
	}
	return ""
}
