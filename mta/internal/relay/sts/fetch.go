package sts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

// Limits of fetching a policy (RFC 8461 §3.3 asks for both).
const (
	maxPolicy    = 64 << 10         // octets
	fetchTimeout = 30 * time.Second // for all of it; a message waits for the first one
)

// A Failure is why a policy that a domain announces is not to be had. Its Kind
// is a result type of TLS reports (RFC 8460 §4.3.2.2).
type Failure struct {
	Kind string
	Err  error
}

// The kinds of failures.
const (
	FetchError   = "sts-policy-fetch-error"
	Invalid      = "sts-policy-invalid"
	WebPKIFailed = "sts-webpki-invalid"
)

// Error implements error.
func (f *Failure) Error() string { return f.Kind + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// NewClient is the client to fetch policies with: it verifies certificates by
// roots (nil: the system's), follows nobody elsewhere (RFC 8461 §3.3), keeps no
// connections, and finds hosts through resolver (nil: the system's).
func NewClient(resolver *net.Resolver, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Timeout: fetchTimeout, Resolver: resolver}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxPolicy,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch gets the policy of domain.
func (c *Cache) fetch(ctx context.Context, domain string) (*Policy, *Failure) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	url := "https://mta-sts." + domain + "/.well-known/mta-sts.txt"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &Failure{FetchError, err}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		kind := FetchError
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			kind = WebPKIFailed
		}
		return nil, &Failure{kind, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &Failure{FetchError, fmt.Errorf("%s answers %d", url, resp.StatusCode)}
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, &Failure{Invalid, fmt.Errorf("%s is %.80q, not text/plain", url, resp.Header.Get("Content-Type"))}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return nil, &Failure{FetchError, err}
	}
	if len(body) > maxPolicy {
		return nil, &Failure{Invalid, fmt.Errorf("%s is over %d octets", url, maxPolicy)}
	}
	p, err := parsePolicy(string(body))
	if err != nil {
		return nil, &Failure{Invalid, fmt.Errorf("%s: %w", url, err)}
	}
	p.Domain = domain
	return p, nil
}
