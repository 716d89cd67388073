package sts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A real server over TLS. Its certificate is for example.com, as that of every
// httptest.Server; so one domain is verified and another is not.
func TestFetchOverTLS(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/mta-sts.txt", func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "mta-sts.example.com":
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte(enforced))
		case "mta-sts.html.example.com":
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(enforced))
		case "mta-sts.moved.example.com":
			http.Redirect(w, r, "https://mta-sts.example.com/.well-known/mta-sts.txt", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	client := NewClient(nil, roots)
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, srv.Listener.Addr().String())
	}
	c := New(Options{Client: client})
	defer c.Close()
	for domain, want := range map[string]string{
		"example.com": "", "html.example.com": Invalid, "moved.example.com": FetchError, "gone.example.com": FetchError, "crepes.fr": WebPKIFailed,
	} {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "mta-sts." + domain}
		if domain != "crepes.fr" {
			transport.TLSClientConfig.ServerName = "example.com"
		}
		p, failed := c.fetch(t.Context(), domain)
		got := ""
		if failed != nil {
			got = failed.Kind
		}
		if got != want || (p != nil) != (want == "") {
			t.Errorf("%s: got %v, %v", domain, p, failed)
		}
	}
}
