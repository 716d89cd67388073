package redisurl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		url    string
		kind   Kind
		addrs  []string
		tls    bool
		master string
		db     int
		login  string
	}{
		{url: "redis://localhost", addrs: []string{"localhost:6379"}},
		{url: "redis://[::1]:7000/3", addrs: []string{"[::1]:7000"}, db: 3},
		{url: "rediss://alice:a%40b%3Ac@h", addrs: []string{"h:6379"}, tls: true, login: "alice a@b:c"},
		{url: "redis://:secret@h:1/0?db=2", addrs: []string{"h:1"}, db: 2, login: " secret"},
		{url: "unix:///run/redis.sock?db=1", addrs: []string{"/run/redis.sock"}, db: 1},
		{url: "unix://bob:p@/run/redis.sock", addrs: []string{"/run/redis.sock"}, login: "bob p"},
		{url: "redis+sentinel://h1,h2:1/mymaster/4", kind: Sentinel, addrs: []string{"h1:26379", "h2:1"}, master: "mymaster", db: 4},
		{url: "rediss+sentinel://h1:1/m", kind: Sentinel, addrs: []string{"h1:1"}, master: "m", tls: true},
		{url: "redis+sentinel://h1/17/0", kind: Sentinel, addrs: []string{"h1:26379"}, master: "17"},
		{url: "redis+cluster://h1:7000,h2:7001", kind: Cluster, addrs: []string{"h1:7000", "h2:7001"}},
	} {
		u, err := Parse(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		o := u.Options()
		login := strings.TrimRight(o.Username+" "+o.Password, " ")
		if u.Kind != tt.kind || !slices.Equal(o.Addrs, tt.addrs) || (o.TLSConfig != nil) != tt.tls || o.MasterName != tt.master || o.DB != tt.db || login != tt.login {
			t.Errorf("%s: kind %d, %+v", tt.url, u.Kind, o)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"":                                "does not begin with",
		"spool":                           "does not begin with",
		"http://h":                        "does not begin with",
		"redis://h:secret":                "is no host",
		"redis://h1,h2":                   "several hosts",
		"redis://h/secret":                "is no number",
		"redis://h/-1":                    "is no number",
		"redis://a:50%secret@h":           "write %25",
		"redis://h?timeout=1":             "unknown parameter",
		"redis://h?%zz":                   "no list of NAME=VALUE",
		"redis://h?ca=/x":                 "begins with rediss",
		"rediss://h?ca=/nowhere":          "read ca",
		"rediss://h?ca=" + notPEM:         "no certificate",
		"unix://run/redis.sock":           "full path",
		"redis+sentinel://h1:26379":       "master is missing",
		"redis+sentinel://h1:26379/0":     "/MASTER/0",
		"redis+cluster://h1:7000/2":       "database 0 only",
		"redis+cluster://h1:7000,,h2:700": "is no host",
	} {
		_, err := Parse(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(url, "%secret") && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in %q", url, err)
		}
	}
}

func TestClient(t *testing.T) {
	for url, want := range map[string]any{
		"redis://h": (*redis.Client)(nil), "redis+sentinel://h:1/m": (*redis.Client)(nil), "redis+cluster://h:1": (*redis.ClusterClient)(nil),
	} {
		u, err := Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		c := u.Client(u.Options())
		_, isCluster := c.(*redis.ClusterClient)
		if _, want := want.(*redis.ClusterClient); isCluster != want {
			t.Errorf("%s: a %T", url, c)
		}
		c.Close()
	}
}
