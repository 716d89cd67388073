package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/redisurl"
)

// A Finding is something about a server that endangers mail.
type Finding struct {
	Server  string // its address, where it is known
	Setting string // as in redis.conf
	Value   string // empty: it cannot be known
	Text    string // what comes of it, and the cure
	Loses   bool   // acknowledged mail can be lost; with [Strict] nothing is put there
}

func (f Finding) String() string {
	value := f.Value
	if value == "" {
		value = "unknown"
	}
	text := fmt.Sprintf("%s is %s: %s", f.Setting, value, f.Text)
	if f.Server != "" {
		return f.Server + ": " + text
	}
	return text
}

// An unsafeError is [ErrUnsafe] with what was found. It wraps nothing: the client
// would take it apart.
type unsafeError struct{ findings []Finding }

func (e *unsafeError) Error() string {
	var all []string
	for _, f := range e.findings {
		all = append(all, f.String())
	}
	return fmt.Sprintf("%v: %s", ErrUnsafe, strings.Join(all, "; "))
}

func (e *unsafeError) Is(target error) bool { return target == ErrUnsafe || target == ErrAway }

// settings are those that are asked for.
var settings = []string{
	"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy",
}

// facts are what a server says of itself.
type facts struct {
	info   map[string]string
	config map[string]string // nil: it does not tell
}

// Check reads how durable the servers are that have the queue: all masters of a
// Cluster, or the one master. It is [ErrAway] if they cannot be asked. Each new
// connection makes the same check, so that a server that is another after a
// failover, or was restarted with other settings, gets no mail that it would lose.
func (s *Store) Check(ctx context.Context) ([]Finding, error) {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.checkOne(ctx, s.client.(*redis.Client))
	}
	var mu sync.Mutex
	var all []Finding
	err := c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		found, err := s.checkOne(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, found...)
		return err
	})
	if err != nil && !errors.Is(err, ErrAway) {
		err = away("", err)
	}
	return all, err
}

func (s *Store) checkOne(ctx context.Context, node *redis.Client) ([]Finding, error) {
	f, err := ask(ctx, node.Pipeline())
	if unsafe, ok := errors.AsType[*unsafeError](err); ok {
		return servers(node, unsafe.findings), nil
	}
	if err != nil {
		return nil, away("", err)
	}
	return servers(node, s.findings(f)), nil
}

func servers(node *redis.Client, found []Finding) []Finding {
	for i := range found {
		found[i].Server = node.Options().Addr
	}
	return found
}

// ask reads the facts of one server.
func ask(ctx context.Context, p redis.Pipeliner) (facts, error) {
	info := p.Info(ctx)
	config := make([]*redis.MapStringStringCmd, len(settings))
	for i, name := range settings {
		config[i] = p.ConfigGet(ctx, name)
	}
	_, err := p.Exec(ctx)
	if own := info.Err(); own != nil {
		return facts{}, own
	}
	if info.Val() == "" { // there was no session: not each command has the error then
		return facts{}, cmp.Or(err, errors.New("it does not say what it is"))
	}
	f := facts{info: map[string]string{}}
	for line := range strings.Lines(info.Val()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f.info[name] = value
		}
	}
	for _, c := range config {
		for name, value := range c.Val() {
			if f.config == nil {
				f.config = map[string]string{}
			}
			f.config[name] = value
		}
	}
	return f, nil
}

// findings judges the facts.
func (s *Store) findings(f facts) (found []Finding) {
	add := func(loses bool, setting, value, text string) {
		found = append(found, Finding{Setting: setting, Value: value, Text: text, Loses: loses})
	}
	if f.config == nil {
		s.unknown(f, add)
	} else {
		s.known(f.config, add)
	}
	replicated := s.address.Kind != redisurl.Single || f.info["connected_slaves"] != "0" && f.info["connected_slaves"] != ""
	if replicated && s.o.Replicas == 0 {
		add(s.address.Kind == redisurl.Sentinel || s.address.Kind == redisurl.Cluster && f.info["connected_slaves"] != "0", "connected_slaves", f.info["connected_slaves"],
			"a failover would lose mail that the next master does not have yet; set queue.replicas to 1 or more, or write durability: relaxed")
	}
	if n, err := strconv.Atoi(f.info["connected_slaves"]); err == nil && n < s.o.Replicas {
		add(false, "connected_slaves", f.info["connected_slaves"],
			"nothing is acknowledged as long as there are fewer than queue.replicas; see to the replicas, or lower it")
	}
	if f.info["aof_last_write_status"] == "err" {
		add(true, "aof_last_write_status", "err", "Redis cannot write its append-only file; see its log")
	}
	return found
}

func (s *Store) known(c map[string]string, add func(loses bool, setting, value, text string)) {
	if c["appendonly"] != "yes" {
		add(true, "appendonly", c["appendonly"],
			"acknowledged mail would be lost when Redis stops; set appendonly yes and appendfsync always in redis.conf, or write durability: relaxed")
	} else if c["appendfsync"] != "always" {
		add(true, "appendfsync", c["appendfsync"],
			"mail of the last second or more would be lost when the host stops; set appendfsync always in redis.conf, or write durability: relaxed")
	}
	if c["no-appendfsync-on-rewrite"] == "yes" {
		add(true, "no-appendfsync-on-rewrite", "yes",
			"mail that comes while Redis rewrites its file would not be synced; set no-appendfsync-on-rewrite no in redis.conf, or write durability: relaxed")
	}
	if policy := c["maxmemory-policy"]; policy != "noeviction" && policy != "" {
		add(strings.HasPrefix(policy, "allkeys"), "maxmemory-policy", policy,
			"Redis would throw away keys once its memory is full; set maxmemory-policy noeviction in redis.conf")
	}
}

// unknown judges a server that does not tell its settings, by what else it says.
func (s *Store) unknown(f facts, add func(loses bool, setting, value, text string)) {
	const allow = "CONFIG GET is not allowed here, so that it cannot be known whether each change is synced; allow it (ACL +config|get), or write durability: relaxed"
	if f.info["aof_enabled"] == "0" {
		add(true, "appendonly", "no",
			"acknowledged mail would be lost when Redis stops; set appendonly yes and appendfsync always, or write durability: relaxed")
		return
	}
	add(true, "appendfsync", "", allow)
	if policy := f.info["maxmemory_policy"]; policy != "noeviction" && policy != "" {
		add(strings.HasPrefix(policy, "allkeys"), "maxmemory-policy", policy, "Redis would throw away keys once its memory is full; set it to noeviction")
	}
}

// connected is called for each new connection, before it is used.
func (s *Store) connected(ctx context.Context, conn *redis.Conn) error {
	f, err := ask(ctx, conn.Pipeline())
	if err != nil {
		return err
	}
	if f.info["redis_mode"] == "sentinel" {
		return nil
	}
	s.seen(f.info["run_id"])
	s.waitAOF.Store(f.info["aof_enabled"] == "1" && atLeast(f.info["redis_version"], 7, 2))
	if s.o.Durability == Relaxed || f.info["role"] == "slave" {
		return nil
	}
	var loses []Finding
	for _, finding := range s.findings(f) {
		if finding.Loses {
			loses = append(loses, finding)
		}
	}
	if len(loses) > 0 {
		return &unsafeError{loses}
	}
	return nil
}

// seen notes which run of which server a connection is to. Behind a new one may
// be an older state: nothing is claimed until all nodes had time to notice.
func (s *Store) seen(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run == "" || s.runs[run] {
		return
	}
	if len(s.runs) > 0 && !s.o.CallersClock {
		s.calm = time.Now().Add(s.quiet())
	}
	s.runs[run] = true
}

// quiet is how long nothing is claimed from a shard that may be another than it
// was: in that time each node that lives has looked at it.
func (s *Store) quiet() time.Duration { return 2 * s.o.Heartbeat }

func (s *Store) calmUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calm
}

// atLeast compares a version, such as 7.0.15, with another.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(version, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}
