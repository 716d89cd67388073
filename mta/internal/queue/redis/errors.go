package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Errors of a [Store], beside those of package queue.
var (
	// ErrAway says that Redis cannot be asked now: nothing was changed, and
	// nothing will be by this call. It is also the answer of a Redis that is
	// loading, read-only, full, failing over, or not as durable as it has to be.
	ErrAway = fmt.Errorf("redis: %w", queue.ErrAway)

	// ErrFull says why it is away: its memory is full, or its disk. Such an
	// error is an [syscall.ENOSPC] too, which callers answer with 452.
	ErrFull = errors.New("redis is full")

	// ErrUnsafe says why it is away: it would lose what it acknowledged.
	ErrUnsafe = errors.New("redis is not durable")

	// ErrLogin says why it is away: it refuses the user or the password.
	ErrLogin = errors.New("redis refuses the user or the password")

	// ErrEmptied says that a shard is not the one that this node knew: it was
	// emptied, or set back to an older state. See [Store.BeginRestore].
	ErrEmptied = errors.New("the queue in redis was emptied or set back")

	// ErrRefused says that [Store.Settle] declared an entry to be none.
	ErrRefused = fmt.Errorf("it was given up before: %w", queue.ErrExists)
)

// An UnknownError is as [ErrAway], but the change may have been made, or may yet
// be: the answer was lost, or did not come in time, or too few replicas have it.
// A server that was paused still executes what it had been sent.
type UnknownError struct {
	Op  string // what was to be done, such as put
	Err error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: the outcome is unknown: %v", e.Op, e.Err)
}

// Unwrap makes it [ErrAway], too.
func (e *UnknownError) Unwrap() []error { return []error{ErrAway, e.Err} }

// An EmptiedError is an [ErrEmptied] that says where.
type EmptiedError struct{ Shard int }

func (e *EmptiedError) Error() string { return fmt.Sprintf("shard %d: %v", e.Shard, ErrEmptied) }

// Is makes it [ErrEmptied], and [queue.ErrAway]: it is put right.
func (e *EmptiedError) Is(target error) bool {
	return target == ErrEmptied || target == queue.ErrAway
}

// refusals are the replies with which Redis says that it did not do what it was
// asked, by their first word; each with what it is beside ErrAway.
var refusals = map[string][]error{
	"LOADING":     nil,
	"READONLY":    {syscall.EROFS},
	"MISCONF":     {ErrFull, syscall.ENOSPC}, // it cannot write its files
	"OOM":         {ErrFull, syscall.ENOSPC},
	"MASTERDOWN":  nil,
	"CLUSTERDOWN": nil,
	"TRYAGAIN":    nil,
	"MOVED":       nil,
	"ASK":         nil,
	"NOREPLICAS":  nil,
	"BUSY":        nil,
	"NOAUTH":      {ErrLogin},
	"WRONGPASS":   {ErrLogin},
	"NOPERM":      nil,
	"UNBLOCKED":   nil,
}

// away makes an error of Redis or of the way to it one of this package. op names
// the change that was to be made; empty says that there was none, so that it does
// not matter whether Redis got to it.
func away(op string, err error) error {
	var reply redis.Error
	if errors.As(err, &reply) && !errors.Is(err, errTooFew) {
		word, _, _ := strings.Cut(strings.TrimPrefix(reply.Error(), "ERR "), " ")
		more, known := refusals[strings.TrimPrefix(word, "-")]
		if strings.Contains(reply.Error(), "max number of clients") {
			known = true
		}
		if !known && !errors.Is(err, errUnsent) {
			return fmt.Errorf("redis: %w", err)
		}
		return wrap(err, append([]error{ErrAway}, more...)...)
	}
	if op == "" || unsent(err) {
		return wrap(err, ErrAway)
	}
	return &UnknownError{op, err}
}

// unsent tells whether a call failed before any of it was sent.
func unsent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) ||
		errors.Is(err, redis.ErrClosed) || errors.Is(err, ErrUnsafe) || errors.Is(err, errUnsent)
}

// errUnsent says of a call that it waited for others, and never went.
var errUnsent = errors.New("not sent")

// A wrapped error has the text of one error and is several others, too.
type wrapped struct {
	error
	also []error
}

func wrap(err error, also ...error) error { return &wrapped{fmt.Errorf("redis: %w", err), also} }

func (w *wrapped) Unwrap() []error { return append(w.also, w.error) }

// lost tells whether a call had been sent and its answer did not come because
// the connection ended: asking again, with the same operation, tells the outcome.
func lost(err error) bool {
	var reply redis.Error
	var timeout net.Error
	return err != nil && !errors.As(err, &reply) && !unsent(err) && !errors.Is(err, errTooFew) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		!(errors.As(err, &timeout) && timeout.Timeout())
}
