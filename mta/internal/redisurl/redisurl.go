// Package redisurl reads the URL of a Redis, be it one server, one that Sentinels
// watch, or a Cluster, and makes a client of it. What is kept there is left to
// others.
package redisurl

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

// A Kind is how the servers behind a URL work together.
type Kind int

const (
	Single Kind = iota
	Sentinel
	Cluster
)

// schemes are what a URL may begin with.
var schemes = map[string]struct {
	kind Kind
	tls  bool
	unix bool
}{
	"redis":           {kind: Single},
	"rediss":          {kind: Single, tls: true},
	"unix":            {kind: Single, unix: true},
	"redis+sentinel":  {kind: Sentinel},
	"rediss+sentinel": {kind: Sentinel, tls: true},
	"redis+cluster":   {kind: Cluster},
	"rediss+cluster":  {kind: Cluster, tls: true},
}

const defaultPort = "6379"

// parameters are what may follow the question mark of a URL.
var parameters = []string{"ca", "db", "sentinel_user", "sentinel_password"}

// A URL is one taken apart.
type URL struct {
	Kind     Kind
	network  string   // tcp, unix
	hosts    []string // with ports; of sentinels, or some of a cluster
	master   string   // the name that sentinels know it by
	db       int
	user     string
	password string
	tls      *tls.Config // nil: none

	sentinelUser, sentinelPassword string
}

// Parse takes a URL apart. Its errors say what is wrong, and no password.
func Parse(s string) (*URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	how, known := schemes[scheme]
	if !ok || !known {
		return nil, errors.New("the URL does not begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
	}
	u := &URL{Kind: how.kind, network: "tcp"}
	// Several hosts with ports are more than net/url takes: it gets the rest.
	rest, query, _ := strings.Cut(rest, "?")
	rest, err := u.login(rest)
	if err != nil {
		return nil, err
	}
	params, err := parseQuery(query)
	if err != nil {
		return nil, err
	}
	if how.unix {
		u.network, u.hosts = "unix", []string{rest}
		if !strings.HasPrefix(rest, "/") {
			return nil, errors.New("unix:// is followed by the full path of the socket, as in unix:///run/redis.sock")
		}
	} else if err := u.place(rest); err != nil {
		return nil, err
	}
	return u, u.apply(params, how.tls)
}

// login takes the user and the password off the front.
func (u *URL) login(rest string) (string, error) {
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
	u.user, err1 = url.PathUnescape(user)
	u.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return "", errors.New("the user or the password has a % that two hexadecimal digits do not follow; write %25")
	}
	return authority[at+1:] + path, nil
}

// place reads hosts, the name of a master and the number of a database.
func (u *URL) place(rest string) error {
	hosts, path, _ := strings.Cut(rest, "/")
	port := defaultPort
	if u.Kind == Sentinel {
		port = "26379"
		u.master, path, _ = strings.Cut(path, "/")
		if _, err := strconv.Atoi(u.master); u.master == "" || err == nil && path == "" {
			return errors.New("the name of the master is missing: redis+sentinel://HOST:26379,HOST:26379/MASTER/0")
		}
	}
	for _, host := range strings.Split(hosts, ",") {
		with, err := withPort(host, port)
		if err != nil {
			return err
		}
		u.hosts = append(u.hosts, with)
	}
	if u.Kind == Single && len(u.hosts) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	if path == "" {
		return nil
	}
	return u.database(path)
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

func (u *URL) database(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no number of a database", s)
	}
	if u.Kind == Cluster && n != 0 {
		return errors.New("a cluster has database 0 only")
	}
	u.db = n
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

func (u *URL) apply(params url.Values, withTLS bool) error {
	u.sentinelUser, u.sentinelPassword = params.Get("sentinel_user"), params.Get("sentinel_password")
	if db := params.Get("db"); db != "" {
		if err := u.database(db); err != nil {
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
	u.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("read ca: %w", err)
	}
	u.tls.RootCAs = x509.NewCertPool()
	if !u.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate in PEM", ca)
	}
	return nil
}

// String names the servers and the database, without who we are to them.
func (u *URL) String() string {
	return fmt.Sprintf("%s %s %s %d", u.network, strings.Join(u.hosts, ","), u.master, u.db)
}

// Options are those that lead to the servers, with the database and who we are
// to them. The caller adds what it wants of the connections.
func (u *URL) Options() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: u.hosts, MasterName: u.master, DB: u.db, Username: u.user, Password: u.password, TLSConfig: u.tls,
		SentinelUsername: u.sentinelUser, SentinelPassword: u.sentinelPassword,
	}
}

// Client makes a client with what [URL.Options] returned. It does not need the
// servers to be there. The caller must Close it.
func (u *URL) Client(o *redis.UniversalOptions) redis.UniversalClient {
	switch u.Kind {
	case Sentinel:
		return redis.NewFailoverClient(o.Failover())
	case Cluster:
		return redis.NewClusterClient(o.Cluster())
	}
	return redis.NewClient(o.Simple())
}
