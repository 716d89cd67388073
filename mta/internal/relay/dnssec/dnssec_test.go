package dnssec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/testpeer/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zone = `
crepes.fr.        MX 10 mx.crepes.fr.
crepes.fr.        MX 20 mx2.crepes.fr.
mx.crepes.fr.     A 192.0.2.1
mx.crepes.fr.     AAAA 2001:db8::1
mx2.crepes.fr.    A 192.0.2.2
alias.crepes.fr.  CNAME mx.crepes.fr.
out.crepes.fr.    CNAME mx.example.net.
mx.example.net.   A 192.0.2.3
in.example.net.   CNAME mx.crepes.fr.
dead.crepes.fr.   CNAME nowhere.crepes.fr.
_25._tcp.mx.crepes.fr.   TLSA 3 1 1 8755CDAA8FE24EF16CC0F2C918063185E433FAAF1415664911D9E30A924138C4
_25._tcp.mx.example.net. TLSA 3 1 1 8755CDAA8FE24EF16CC0F2C918063185E433FAAF1415664911D9E30A924138C4
`

func serve(t *testing.T) (*Resolver, *dnstest.Server) {
	s := dnstest.Start(t, zone)
	s.Sign("crepes.fr.")
	return New(s.Addr), s
}

func TestLookupHost(t *testing.T) {
	r, _ := serve(t)
	for name, want := range map[string]string{
		"mx.crepes.fr":            "2001:db8::1 192.0.2.1, below mx.crepes.fr",
		"MX.crepes.FR.":           "2001:db8::1 192.0.2.1, below mx.crepes.fr",
		"mx2.crepes.fr.":          "192.0.2.2, below mx2.crepes.fr",
		"alias.crepes.fr":         "2001:db8::1 192.0.2.1, below mx.crepes.fr alias.crepes.fr",
		"mx.example.net":          "192.0.2.3, below ",
		"out.crepes.fr":           "192.0.2.3, below out.crepes.fr", // RFC 7672 §2.2.2: the alias is signed, not what it is of
		"in.example.net":          "2001:db8::1 192.0.2.1, below ",
		"crepes.fr":               "not found",
		"nowhere.crepes.fr":       "not found",
		"dead.crepes.fr":          "not found",
		"a..b":                    "not found",
		"":                        "not found",
		strings.Repeat("a.", 200): "not found",
	} {
		h, err := r.LookupHost(t.Context(), name)
		got := fmt.Sprintf("%s, below %s", strings.Trim(fmt.Sprint(h.Addrs), "[]"), strings.Join(h.Bases, " "))
		if isNotFound(err) {
			got = "not found"
		} else if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

func TestLookupMX(t *testing.T) {
	r, s := serve(t)
	list, secure, err := r.LookupMX(t.Context(), "crepes.fr")
	if err != nil || !secure || len(list) != 2 || *list[0] != (net.MX{Host: "mx.crepes.fr.", Pref: 10}) {
		t.Errorf("got %v, secure %v, %v", list, secure, err)
	}
	if _, secure, err := r.LookupMX(t.Context(), "mx.crepes.fr"); !isNotFound(err) || !secure {
		t.Errorf("no MX: secure %v, %v", secure, err)
	}
	s.Cut("crepes.fr.")
	if list, _, err := r.LookupMX(t.Context(), "crepes.fr"); err != nil || len(list) != 2 {
		t.Errorf("by TCP: %v, %v", list, err)
	}
}

func TestLookupTLSA(t *testing.T) {
	r, s := serve(t)
	for base, want := range map[string]int{"mx.crepes.fr": 1, "mx.crepes.fr.": 1, "mx2.crepes.fr": 0, "mx.example.net": 0} {
		list, err := r.LookupTLSA(t.Context(), 25, base)
		if err != nil || len(list) != want {
			t.Errorf("%s: got %v, %v, want %d", base, list, err, want)
		}
		if want > 0 && (list[0].Usage != 3 || list[0].Selector != 1 || list[0].MatchingType != 1 || list[0].Data[0] != 0x87) {
			t.Errorf("got %v", list[0])
		}
	}
	// What is bogus is nobody's word that there is no record.
	s.Fail("_25._tcp.mx2.crepes.fr.", dns.RcodeServerFailure)
	if list, err := r.LookupTLSA(t.Context(), 25, "mx2.crepes.fr"); err == nil || isNotFound(err) {
		t.Errorf("bogus: got %v, %v", list, err)
	}
}

func TestFailures(t *testing.T) {
	r, s := serve(t)
	s.Fail("crepes.fr.", dns.RcodeServerFailure)
	_, _, err := r.LookupMX(t.Context(), "crepes.fr")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsTemporary || dns.IsNotFound || dns.Err != "server answers SERVFAIL" {
		t.Errorf("got %v", err)
	}
	s.Fail("mx2.crepes.fr.", dns.RcodeRefused)
	if _, err := r.LookupHost(t.Context(), "mx2.crepes.fr"); err == nil || isNotFound(err) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = r.LookupMX(ctx, "hamburger.edu")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsTimeout {
		t.Errorf("without time: %v", err)
	}
	// The next server is asked when one is away.
	gone := New("127.0.0.1:1")
	gone.servers = append(gone.servers, s.Addr)
	if h, err := gone.LookupHost(t.Context(), "mx.crepes.fr"); err != nil || len(h.Addrs) != 2 {
		t.Errorf("got %v, %v", h, err)
	}
}

func TestSystem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	for conf, want := range map[string]bool{
		"nameserver 127.0.0.1\nnameserver ::1\n":     true,
		"nameserver 127.0.0.53\noptions edns0\n":     true,
		"nameserver 127.0.0.1\nnameserver 9.9.9.9\n": false,
	} {
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := System(file)
		if err != nil || r.OnLoopback() != want {
			t.Errorf("%q: %v, want on loopback %v", conf, err, want)
		}
	}
	os.WriteFile(file, []byte("search crepes.fr\n"), 0o600)
	if _, err := System(file); err == nil {
		t.Error("no server is no error")
	}
	if _, err := System(file + "x"); err == nil {
		t.Error("no file is no error")
	}
}
