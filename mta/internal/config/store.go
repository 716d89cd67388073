package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Spool is the value of queue.store for the embedded store.
const Spool = "spool"

// Shared tells whether the queue is kept in Redis.
func (q *Queue) Shared() bool { return q.Store != Spool }

// redisSchemes are those of queue.store. With the second s, TLS.
var redisSchemes = []string{"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

const wantStore = "spool, or redis://host:port/0"

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

// checkRedisURL tells whether s looks like the URL of a Redis. The details are
// known to who opens it.
func checkRedisURL(s string) error {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return errors.New("is not a store")
	case !slices.Contains(redisSchemes, scheme):
		return &unitError{fmt.Sprintf("scheme %q is not known here", quotable(scheme)), "write " + oneOf(redisSchemes) + " before ://, or spool"}
	case strings.Trim(rest, "/") == "":
		return errors.New("has no host")
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
