package shared

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// A Judge is a Redis whose settings are looked at before it is used.
type Judge struct {
	*redis.Store
	Relaxed bool // it is used whatever they are
	Log     *slog.Logger

	mu   sync.Mutex
	said string // what was found last, and logged
}

var _ Redis = (*Judge)(nil)

// Ready implements [Redis].
func (j *Judge) Ready(ctx context.Context) error {
	found, err := j.Check(ctx)
	if err != nil {
		return err
	}
	var loses, all []string
	for _, f := range found {
		all = append(all, f.String())
		if f.Loses {
			loses = append(loses, f.String())
		}
	}
	if len(loses) > 0 && !j.Relaxed {
		return fmt.Errorf("%w: %s", redis.ErrUnsafe, strings.Join(loses, "; "))
	}
	j.warn(strings.Join(all, "; "))
	return nil
}

// warn says what was found, unless it was said.
func (j *Judge) warn(found string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if found != j.said && found != "" {
		j.Log.Warn("queue store can lose mail", "found", found)
	}
	j.said = found
}
