package redis

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A script is one of lua/, with what it shares with others before it.
type script struct {
	name   string
	source string
	sha    string
	change bool // it changes what has to be durable
}

//go:embed lua
var sources embed.FS

func newScript(name string, change bool) *script {
	return composed(name, change, "core", "lib", name)
}

func composed(name string, change bool, parts ...string) *script {
	text := ""
	for _, part := range parts {
		text += source(part)
	}
	sum := sha1.Sum([]byte(text)) // what Redis names scripts by
	return &script{name, text, hex.EncodeToString(sum[:]), change}
}

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // they are in the program
	}
	return string(text)
}

var (
	putScript      = composed("put", true, "core", "put")
	putAllScript   = newScript("putall", true)
	replaceScript  = newScript("replace", true)
	concludeScript = newScript("conclude", true)
	updateScript   = newScript("update", true)
	removeScript   = newScript("remove", false) // a crash may undo it
	extendScript   = newScript("extend", false)
	takeScript     = newScript("take", false)
	readScript     = newScript("read", false)
	contentScript  = newScript("content", false)
)

// statuses are what a script may answer beside OK.
var statuses = map[string]error{
	"EXISTS":   queue.ErrExists,
	"REFUSED":  ErrRefused,
	"NOTFOUND": queue.ErrNotFound,
	"ACTIVE":   queue.ErrActive,
	"LEASE":    queue.ErrLease,
	"CHUNKS":   errChunks,
}

// errChunks: storing a content took longer than its chunks last.
var errChunks = errors.New("chunks of the content are gone before the entry was stored")

// An answer is what a script said.
type answer struct {
	now  int64 // the time of the shard, in microseconds
	at   time.Time
	rest []any
}

const (
	// maxTries is how often a change is sent whose answer was lost.
	maxTries = 3

	// maxMoves is how often one is sent to where a Cluster said that the shard is,
	// and moveWait how long is waited in between: the client learns of a move while
	// others go on.
	maxMoves = 25
	moveWait = 20 * time.Millisecond
)

// run runs a script on a shard. An operation that is not empty makes it one that
// was tried before.
func (s *Store) run(ctx context.Context, sc *script, shard int, now time.Time, op string, args ...any) (answer, error) {
	if op == "" {
		op = s.newOp()
	}
	doubt := false // it was sent, and may have been done
	for try, moves := 1, 0; ; {
		reply, err := s.send(ctx, &call{script: sc, shard: shard, args: s.arguments(shard, now, op, args)})
		if err == nil {
			return s.answered(shard, reply)
		}
		doubt = doubt || lost(err)
		if try < maxTries && ctx.Err() == nil && lost(err) {
			try++
			continue
		}
		if moves < maxMoves && moved(err) && pause(ctx, moveWait) {
			moves++
			continue
		}
		switch {
		case !sc.change:
			return answer{}, away("", err)
		case doubt: // whatever the last try says
			return answer{}, &UnknownError{sc.name, err}
		}
		return answer{}, away(sc.name, err)
	}
}

// pause waits; it is false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// arguments are those that all scripts have, and args after them.
func (s *Store) arguments(shard int, now time.Time, op string, args []any) []any {
	s.mu.Lock()
	v := s.shards[shard]
	s.mu.Unlock()
	clock := ""
	if s.o.CallersClock {
		clock = micros(now)
	}
	return append([]any{s.o.Node, v.epoch, strconv.FormatInt(v.seq, 10), clock, op}, args...)
}

// answered takes a reply apart: its status, what it tells of the shard, the rest.
func (s *Store) answered(shard int, reply any) (answer, error) {
	list, ok := reply.([]any)
	if !ok || len(list) < 4 {
		return answer{}, wrap(fmt.Errorf("%d fields in a reply", len(list)), ErrAway)
	}
	status, epoch := text(list[0]), text(list[1])
	if status == "EMPTIED" {
		return answer{}, &EmptiedError{shard}
	}
	s.learn(shard, epoch, number(list[2]))
	a := answer{now: number(list[3]), at: time.Now(), rest: list[4:]}
	if status == "OK" {
		return a, nil
	}
	if err, known := statuses[status]; known {
		return a, err
	}
	return a, fmt.Errorf("redis: unknown status %q", status)
}

// learn notes what shard a reply came from. Replies come in any order.
func (s *Store) learn(shard int, epoch string, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &s.shards[shard]
	if v.epoch == "" {
		v.epoch = epoch
	}
	if v.epoch == epoch {
		v.seq = max(v.seq, seq)
	}
}

// moved tells whether a Cluster has the shard elsewhere now, or will have.
func moved(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "TRYAGAIN")
}

// key is what the keys of a shard begin with.
func (s *Store) key(shard int) string {
	return s.o.Prefix + ":{q" + strconv.Itoa(shard) + "}"
}

// micros is a time as scripts have it.
func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// from is a time as an argument: how far it is away, unless times are the
// callers'.
func (s *Store) from(t, now time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case s.o.CallersClock:
		return micros(t)
	}
	return strconv.FormatInt(t.Sub(now).Microseconds(), 10)
}

// local is a time of a shard by the clock of this node.
func (s *Store) local(a answer, t int64) time.Time {
	if s.o.CallersClock {
		return time.UnixMicro(t).UTC()
	}
	return a.at.Add(time.Duration(t-a.now) * time.Microsecond)
}

// text and number read one field of a reply; a field that is not of its kind is
// empty, or zero.
func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// shardOf is the shard of all the IDs; ok is false if they have several.
func shardOf(first mail.QueueID, more []queue.Deposit) (shard int, ok bool) {
	shard = first.Shard()
	for _, d := range more {
		if d.Entry.ID.Shard() != shard {
			return shard, false
		}
	}
	return shard, true
}
