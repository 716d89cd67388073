package queue

import (
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// maxWarnings is of how many delayed messages one reverse-path hears in a
	// minute, where it did not ask: a next hop that is down has the messages of a
	// whole mailing delayed at the same time. A report of failure is never left
	// out: RFC 5321 §6.1 does not allow it.
	maxWarnings = 20

	// maxWarned is how many reverse-paths are counted in a minute; of more than
	// that, none hears of delays that it did not ask about.
	maxWarned = 10_000
)

// warnings counts what each reverse-path was told of delays in this minute. The
// zero value is ready. Safe for concurrent use.
type warnings struct {
	mu    sync.Mutex
	since time.Time
	told  map[string]int // by reverse-path, in lower case
}

// admit returns those of a delayed message that the reverse-path is to hear of.
func (w *warnings) admit(to mail.Path, about []outcome, now time.Time) []outcome {
	asked := choose(about, func(o outcome) bool { return o.rcpt.Notify&mail.NotifyDelay != 0 })
	if len(asked) == len(about) || w.room(strings.ToLower(to.String()), now) {
		return about
	}
	return asked
}

func (w *warnings) room(to string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := now.Sub(w.since); w.told == nil || age < 0 || age >= time.Minute {
		w.since, w.told = now, map[string]int{}
	}
	n, known := w.told[to]
	if n >= maxWarnings || !known && len(w.told) >= maxWarned {
		return false
	}
	w.told[to] = n + 1
	return true
}
