package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A kind is how the servers behind a URL work together.
type kind int

const (
	single kind = iota
	sentinel
	cluster
)

// schemes are what a URL may begin with.
var schemes = map[string]struct {
	kind kind
	tls  bool
	unix bool
}{
	"redis":           {kind: single},
	"rediss":          {kind: single, tls: true},
	"unix":            {kind: single, unix: true},
	"redis+sentinel":  {kind: sentinel},
	"rediss+sentinel": {kind: sentinel, tls: true},
	"redis+cluster":   {kind: cluster},
	"rediss+cluster":  {kind: cluster, tls: true},
}

const defaultPort = "6379"

// parameters are what may follow the question mark of a URL.
var parameters = []string{"ca", "db", "sentinel_user", "sentinel_password"}

// An address is a URL taken apart.
type address struct {
	kind     kind
	network  string   // tcp, unix
	hosts    []string // with ports; of sentinels, or some of a cluster
	master   string   // the name that sentinels know it by
	db       int
	user     string
	password string
	tls      *tls.Config // nil: none

	sentinelUser, sentinelPassword string
}

// parseURL takes a URL apart. Its errors say what is wrong, and no password.
func parseURL(s string) (*address, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	how, known := schemes[scheme]
	if !ok || !known {
		return nil, errors.New("the URL does not begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
	}
	a := &address{kind: how.kind, network: "tcp"}
	// Several hosts with ports are more than net/url takes: it gets the rest.
	rest, query, _ := strings.Cut(rest, "?")
	rest, err := a.login(rest)
	if err != nil {
		return nil, err
	}
	params, err := parseQuery(query)
	if err != nil {
		return nil, err
	}
	if how.unix {
		a.network, a.hosts = "unix", []string{rest}
		if !strings.HasPrefix(rest, "/") {
			return nil, errors.New("unix:// is followed by the full path of the socket, as in unix:///run/redis.sock")
		}
	} else if err := a.place(rest); err != nil {
		return nil, err
	}
	return a, a.apply(params, how.tls)
}

// login takes the user and the password off the front.
func (a *address) login(rest string) (string, error) {
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return rest, nil
	}
	user, password, _ := strings.Cut(authority[:at], ":")
	var err1, err2 error
	a.user, err1 = url.PathUnescape(user)
	a.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return "", errors.New("the user or the password has a % that two hexadecimal digits do not follow; write %25")
	}
	return authority[at+1:] + path, nil
}

// place reads hosts, the name of a master and the number of a database.
func (a *address) place(rest string) error {
	hosts, path, _ := strings.Cut(rest, "/")
	port := defaultPort
	if a.kind == sentinel {
		port = "26379"
		a.master, path, _ = strings.Cut(path, "/")
		if a.master == "" {
			return errors.New("the name of the master is missing: redis+sentinel://HOST:26379,HOST:26379/MASTER/0")
		}
	}
	for _, host := range strings.Split(hosts, ",") {
		with, err := withPort(host, port)
		if err != nil {
			return err
		}
		a.hosts = append(a.hosts, with)
	}
	if a.kind == single && len(a.hosts) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	if path == "" {
		return nil
	}
	return a.database(path)
}

func withPort(host, port string) (string, error) {
	h, p, err := net.SplitHostPort(host)
	if err != nil { // most likely there is no port
		h, p = strings.Trim(host, "[]"), port
	}
	if n, err := strconv.Atoi(p); h == "" || err != nil || n < 1 || n > 65535 || strings.ContainsAny(h, " /?#@") {
		return "", fmt.Errorf("%q is no host with a port", host)
	}
	return net.JoinHostPort(h, p), nil
}

func (a *address) database(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no number of a database", s)
	}
	if a.kind == cluster && n != 0 {
		return errors.New("a cluster has database 0 only")
	}
	a.db = n
	return nil
}

func parseQuery(query string) (url.Values, error) {
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("what follows the question mark is no list of NAME=VALUE")
	}
	for name := range params {
		if !slices.Contains(parameters, name) {
			return nil, fmt.Errorf("unknown parameter %q; known are %s", name, strings.Join(parameters, ", "))
		}
	}
	return params, nil
}

func (a *address) apply(params url.Values, withTLS bool) error {
	a.sentinelUser, a.sentinelPassword = params.Get("sentinel_user"), params.Get("sentinel_password")
	if db := params.Get("db"); db != "" {
		if err := a.database(db); err != nil {
			return err
		}
	}
	ca := params.Get("ca")
	if !withTLS {
		if ca != "" {
			return errors.New("ca needs a URL that begins with rediss")
		}
		return nil
	}
	a.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("read ca: %w", err)
	}
	a.tls.RootCAs = x509.NewCertPool()
	if !a.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate in PEM", ca)
	}
	return nil
}

// options are those that all kinds share. go-redis makes no retries: what can be
// tried again is tried again here, under the same operation ID.
func (s *Store) options() *redis.UniversalOptions {
	a := s.address
	o := &redis.UniversalOptions{
		Addrs: a.hosts, MasterName: a.master, DB: a.db, Username: a.user, Password: a.password, TLSConfig: a.tls,
		SentinelUsername: a.sentinelUser, SentinelPassword: a.sentinelPassword,
		Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: s.o.DialTimeout, ReadTimeout: s.o.ReplyTimeout, WriteTimeout: s.o.ReplyTimeout,
		PoolSize: s.o.Connections, MaxActiveConns: s.o.Connections, PoolTimeout: s.o.ReplyTimeout,
		ContextTimeoutEnabled: true,
		OnConnect:             s.connected,
	}
	return o
}
