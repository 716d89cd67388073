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
	seen map[string]int  // by number and recipient
	last []byte          // content of the last message
	from map[string]bool // the reverse-paths

	// A message with such a number is not taken the first time it comes: it waits
	// until the channel is closed, and is put off then.
	putOff map[string]chan struct{}
}

// hold has the first copy of a message put off, once the channel it returns is
// closed.
func (s *sink) hold(number string) (release chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	release = make(chan struct{})
	s.putOff[number] = release
	return release
}

// holds tells whether the copy that hold spoke of came.
func (s *sink) holds(number string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, expected := s.putOff[number]
	return !expected
}

func startSink(t testing.TB) *sink {
	t.Helper()
	return startSinkAt(t, "127.0.0.1:0")
}

func startSinkAt(t testing.TB, addr string) *sink {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: l.Addr().String(), seen: map[string]int{}, from: map[string]bool{}, putOff: map[string]chan struct{}{}}
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
	from  string
	rcpts []string
}

func (s *sinkSession) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from, s.rcpts = from, nil
	return nil
}

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
	if wait, ok := s.sink.putOff[number]; ok {
		delete(s.sink.putOff, number)
		s.sink.mu.Unlock()
		<-wait
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "Later"}
	}
	defer s.sink.mu.Unlock()
	s.sink.last = content
	s.sink.from[s.from] = true
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
