package shared

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// A State is what Redis can be used for.
type State string

const (
	OK       State = "ok"        // for everything
	Full     State = "full"      // not for new messages
	Away     State = "away"      // for nothing: it does not answer, or not in time, or is starting
	ReadOnly State = "read-only" // for nothing that changes anything, which is nothing
	Unsafe   State = "unsafe"    // it would lose mail: it is not used
	Emptied  State = "emptied"   // it lost what it had: nodes put back their copies first
)

// States are all of them, in the order of their declaration.
var States = []State{OK, Full, Away, ReadOnly, Unsafe, Emptied}

// stateOf is the state that an error of Redis tells of; OK: none.
func stateOf(err error) State {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, redis.ErrEmptied):
		return Emptied
	case errors.Is(err, redis.ErrUnsafe):
		return Unsafe
	case errors.Is(err, redis.ErrFull):
		return Full
	case errors.Is(err, redis.ErrAway) && errors.Is(err, syscall.EROFS):
		return ReadOnly
	case errors.Is(err, redis.ErrAway):
		return Away
	}
	return OK
}

// unknown tells whether an error leaves open what was done.
func unknown(err error) bool {
	var u *redis.UnknownError
	return errors.As(err, &u)
}

// elsewhere tells whether an error says that nothing was done, and that another
// place has to be found.
func elsewhere(err error) bool { return !unknown(err) && stateOf(err) != OK }

// repeatError is how often it is said again that Redis is not used for a reason
// that does not go away by itself.
const repeatError = 5 * time.Minute

// A link is the state of Redis as this node sees it. Only the background work
// makes it better; any call can make it worse.
type link struct {
	log     *slog.Logger
	trouble chan struct{} // capacity 1: something went wrong

	mu    sync.Mutex // guards what follows
	state State
	since time.Time // of the state
	away  time.Time // since when it is not OK
	said  time.Time // when the log had it last
}

// init begins with a Redis that has not been asked yet.
func (l *link) init(log *slog.Logger) {
	l.log, l.trouble = log, make(chan struct{}, 1)
	l.state, l.since = Away, time.Now()
	l.away = l.since
	l.trouble <- struct{}{}
}

func (l *link) now() (State, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.since
}

// up tells whether Redis can be asked about what it has.
func (l *link) up() bool {
	state, _ := l.now()
	return state == OK || state == Full
}

// takes tells whether Redis can be asked to take new entries.
func (l *link) takes() bool {
	state, _ := l.now()
	return state == OK
}

// note draws the conclusion from how a call ended. put says that it was to
// bring something new; if Redis is too full for anything else, too, it cannot
// write at all.
func (l *link) note(err error, put bool) {
	state := stateOf(err)
	if state == Full && !put {
		state = ReadOnly
	}
	if state == OK {
		return
	}
	l.mu.Lock()
	worse := l.state == OK || l.state == Full && state != Full
	l.mu.Unlock()
	if worse {
		l.set(state, err)
	}
}

// set moves to a state, and says so.
func (l *link) set(state State, err error) {
	l.mu.Lock()
	before, now := l.state, time.Now()
	silent := state == before && now.Sub(l.said) < repeatError
	if state != before {
		l.since = now
	}
	if before == OK {
		l.away = now
	}
	l.state = state
	away := now.Sub(l.away)
	if !silent {
		l.said = now
	}
	l.mu.Unlock()
	switch {
	case state == OK && before != OK:
		l.log.Info("queue store back", "was", before, "away", away.Round(time.Millisecond))
	case state == OK || silent:
	case state == Unsafe || state == Emptied:
		l.log.Error("queue store away", "state", state, "err", err)
	default:
		l.log.Warn("queue store away", "state", state, "err", err)
	}
	if state != OK {
		select {
		case l.trouble <- struct{}{}:
		default:
		}
	}
}

// ask calls Redis within a limit and draws the conclusion.
func (s *Store) ask(ctx context.Context, f func(context.Context) error) error {
	return s.call(ctx, false, f)
}

// add is ask for what needs memory in Redis.
func (s *Store) add(ctx context.Context, f func(context.Context) error) error {
	return s.call(ctx, true, f)
}

func (s *Store) call(ctx context.Context, put bool, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, s.o.Limit)
	defer cancel()
	err := f(limited)
	if ctx.Err() == nil {
		s.link.note(err, put)
	}
	return err
}

// offer is add for a new entry. It is not cut off by whoever
// wants it: an outcome that nobody waits for is one that nobody knows.
func (s *Store) offer(ctx context.Context, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.PutLimit)
	defer cancel()
	err := f(limited)
	s.link.note(err, true)
	return err
}
