// Package dnstest is a DNS server for tests. It answers as a validating
// resolver would: with what its zone says, aliases followed, and with the AD bit
// where every name on the way is in a signed zone.
package dnstest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A Server answers on one loopback port, by UDP and TCP. Its zone may change
// while it runs.
type Server struct {
	Addr string // host:port

	mu      sync.Mutex // guards what follows
	records []dns.RR
	signed  []string
	rcodes  map[string]int
	cut     map[string]bool
	asked   map[string]int
}

// Start serves zone, in the form of a zone file, until t ends.
func Start(t testing.TB, zone string) *Server {
	t.Helper()
	s := &Server{rcodes: map[string]int{}, cut: map[string]bool{}, asked: map[string]int{}}
	s.Set(t, zone)
	packets, l := listen(t)
	s.Addr = packets.LocalAddr().String()
	for _, srv := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: l, Handler: s}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		done := make(chan struct{})
		go func() { defer close(done); srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { srv.Shutdown(); <-done })
	}
	return s
}

// listen takes a port that is free for both.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var err error
	for range 100 {
		var packets net.PacketConn
		var l net.Listener
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			break
		}
		if l, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, l
		}
		packets.Close()
	}
	t.Fatal(err)
	return nil, nil
}

// Set replaces the zone.
func (s *Server) Set(t testing.TB, zone string) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader("$TTL 60\n"+zone+"\n"), ".", "")
	var records []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
}

// Sign makes everything at and below zones secure, and nothing else.
func (s *Server) Sign(zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = zones
}

// Fail answers questions for name with rcode from now on; what is bogus is
// [dns.RcodeServerFailure].
func (s *Server) Fail(name string, rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcodes[name] = rcode
}

// Cut makes UDP answers for name too large: they have to be asked for by TCP.
func (s *Server) Cut(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[name] = true
}

// Asked is how often a record type of name was asked for: "MX crepes.fr.".
func (s *Server) Asked(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question]
}

// ServeDNS implements [dns.Handler].
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	s.asked[dns.TypeToString[kind]+" "+name]++
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	switch rcode, fails := s.rcodes[name]; {
	case fails:
		m.Rcode = rcode
	case s.cut[name] && !tcp:
		m.Truncated = true
	default:
		s.answer(m, name, kind)
	}
	w.WriteMsg(m)
}

func (s *Server) answer(m *dns.Msg, name string, kind uint16) {
	m.AuthenticatedData = true
	for range 10 {
		m.AuthenticatedData = m.AuthenticatedData && s.isSigned(name)
		exists, next := false, ""
		for _, rr := range s.records {
			h := rr.Header()
			if strings.ToLower(h.Name) != name {
				exists = exists || dns.IsSubDomain(name, h.Name)
				continue
			}
			exists = true
			c, alias := rr.(*dns.CNAME)
			if h.Rrtype == kind || alias {
				m.Answer = append(m.Answer, rr)
			}
			if alias && kind != dns.TypeCNAME {
				next = strings.ToLower(c.Target)
			}
		}
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		if next == "" {
			return
		}
		name = next
	}
}

func (s *Server) isSigned(name string) bool {
	for _, zone := range s.signed {
		if dns.IsSubDomain(zone, name) {
			return true
		}
	}
	return false
}
