package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Spool is the value of queue.store for the embedded store.
const Spool = "spool"

// Shared tells whether the queue is kept in Redis.
func (q *Queue) Shared() bool { return q.Store != Spool }

// redisSchemes are those of queue.store. With the second s, TLS.
var redisSchemes = []string{"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

const (
	wantStore = "spool, or redis://host:port/0"
	maxDB     = 1 << 16 // above every `databases` in use; 16 is Redis' own default
)

// store is the word spool, or the URL of a Redis. As with every URL that may
// have a password in it, findings do not repeat it.
func store() scalar[Secret] {
	return scalar[Secret]{
		words: "spool, or URL of a Redis", want: wantStore, fill: inURL,
		schema: schema{Pattern: `^(spool|(rediss?|unix|rediss?\+(sentinel|cluster))://.+|\$\{.+\}|file:.+)$`},
		show:   func(s Secret) any { return string(s) }, // the default is no secret
		parse: func(s string) (Secret, error) {
			if s == Spool {
				return Secret(s), nil
			}
			return Secret(s), checkRedisURL(s)
		},
	}
}

// checkRedisURL tells what is wrong with the URL of a Redis. Several hosts are
// separated by commas, so net/url cannot read it whole.
func checkRedisURL(s string) error {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return errors.New("is not a store")
	case !slices.Contains(redisSchemes, scheme):
		return &unitError{fmt.Sprintf("scheme %q is not known here", quotable(scheme)), "write " + oneOf(redisSchemes) + " before ://, or spool"}
	case scheme == "unix":
		return checkRedisSocket(rest)
	}
	authority, path, _ := strings.Cut(rest, "/")
	user, hosts, ok := cutLast(authority, "@")
	if !ok {
		user, hosts = "", authority
	}
	if _, err := url.PathUnescape(user); err != nil {
		return &unitError{"has a bad escape before the @", "write a password with %, @, / or : in it as ${NAME}, or escape these characters"}
	}
	if strings.ContainsAny(path, "?#") {
		return &unitError{"has more than hosts and a path", "leave out what follows the ? or #"}
	}
	if err := checkRedisHosts(scheme, strings.Split(hosts, ",")); err != nil {
		return err
	}
	return checkRedisPath(scheme, strings.Split(strings.TrimSuffix(path, "/"), "/"))
}

func checkRedisSocket(rest string) error {
	path, query, _ := strings.Cut(rest, "?")
	if _, after, ok := cutLast(path, "@"); ok {
		path = after
	}
	if !strings.HasPrefix(path, "/") {
		return &unitError{"has no path from the root", "write unix:///run/redis.sock?db=0"}
	}
	db, ok := strings.CutPrefix(query, "db=")
	if query != "" && !ok {
		return &unitError{"has a query that is not db=", "write unix:///run/redis.sock?db=0"}
	}
	return checkRedisDB(db)
}

func checkRedisHosts(scheme string, hosts []string) error {
	several := strings.Contains(scheme, "+")
	if len(hosts) > 1 && !several {
		return &unitError{"has several hosts", "write redis+sentinel://h1:26379,h2:26379/MASTER/0 or redis+cluster://h1:7000,h2:7001"}
	}
	for _, host := range hosts {
		if !several && !hasPort(host) {
			host += ":6379"
		}
		name, port, err := splitHostPort(host)
		if err != nil || name == "" || port == 0 {
			return &unitError{"has a host without a port", "write host:port; of several hosts each has its own"}
		}
	}
	return nil
}

// hasPort tells whether there is a colon behind the name or the brackets.
func hasPort(host string) bool {
	return strings.Contains(host[strings.LastIndex(host, "]")+1:], ":")
}

func checkRedisPath(scheme string, parts []string) error {
	switch _, kind, _ := strings.Cut(scheme, "+"); {
	case kind == "sentinel" && parts[0] == "":
		return &unitError{"does not name the master", "write redis+sentinel://h1:26379,h2:26379/MASTER/0"}
	case kind == "sentinel":
		parts = parts[1:]
	case kind == "cluster" && parts[0] != "" && parts[0] != "0":
		return &unitError{"has a database number", "leave it out: a cluster has only one"}
	}
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return checkRedisDB(parts[0])
	}
	return &unitError{"has a path that is too long", "write /0 or another number of a database at its end"}
}

func checkRedisDB(db string) error {
	if db == "" {
		return nil
	}
	if n, err := strconv.Atoi(db); err != nil || n < 0 || n > maxDB {
		return &unitError{"has a bad number of a database", "write a number, as in /0"}
	}
	return nil
}

// onlyShared are the keys of queue that say nothing of a spool.
var onlyShared = []string{"durability", "replicas", "contents", "content_limit", "node", "prefix", "lease"}

// checkShared finds keys that have no effect.
func checkShared(d *decoder, n *yaml.Node, at string, q *Queue) {
	if q.Shared() || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "store" && n.Content[i+1].Value != Spool {
			return // it has its finding
		}
	}
	for _, name := range onlyShared {
		path := Key(at, name)
		if pos, ok := d.places[path]; ok {
			d.addAt(pos, path, "has no effect with store: spool", "leave it out, or set queue.store to the URL of a Redis")
		}
	}
}

// plainName is a word of letters, digits and a few signs: part of keys in Redis.
func plainName(words string) scalar[string] {
	k := text(words)
	k.words = words
	k.schema.Pattern = `^[A-Za-z0-9._-]{1,64}$`
	k.parse = func(s string) (string, error) {
		if len(s) > 64 || !isPlain(strings.ReplaceAll(s, ".", "-")) {
			return "", &unitError{fmt.Sprintf("%q is not a name", quotable(s)), "write up to 64 letters, digits, dots, - and _"}
		}
		return s, nil
	}
	return k
}
