package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/queue/shared"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

// Beside the spool, a node that shares a queue in Redis has copies of what it put
// there, and what it knows of that Redis.
const (
	copiesDir = "copies"
	marksFile = "redis.json"
)

// openCopies opens the copies, which are not synced: after a power loss they may
// be anything. Those that cannot be opened are set aside, and new ones begun: the
// mail itself is in Redis.
func openCopies(dir string, log *slog.Logger) (*spool.Store, error) {
	o := spool.Options{Log: log, NoSync: true}
	store, err := spool.OpenWith(dir, o)
	if err == nil {
		return store, nil
	}
	aside := dir + ".damaged"
	log.Error("copies set aside", "dir", aside, "err", err)
	if err := errors.Join(os.RemoveAll(aside), os.Rename(dir, aside)); err != nil {
		return nil, fmt.Errorf("copies of the queue: %w", err)
	}
	if store, err = spool.OpenWith(dir, o); err != nil {
		return nil, fmt.Errorf("copies of the queue: %w", err)
	}
	return store, nil
}

// lastPlace is the Redis that copies and marks of a state folder are of; empty:
// there are none.
func lastPlace(state string) (string, error) { return shared.Place(filepath.Join(state, marksFile)) }

// changePlace sets copies and marks of another Redis aside, and takes up those of
// this one if it was used before. Another Redis does not know what is in the copies,
// which is no reason to give them up: the first may have died.
func changePlace(state, place string, log *slog.Logger) error {
	last, err := lastPlace(state)
	if err != nil || last == "" || last == place {
		return err
	}
	log.Warn("queue store changed", "was", last, "now", place, "copies", filepath.Join(state, aside(copiesDir, last)))
	var errs []error
	for _, name := range []string{copiesDir, marksFile} { // marks last: they say that this is to be done
		old, own := filepath.Join(state, aside(name, last)), filepath.Join(state, aside(name, place))
		errs = append(errs, move(filepath.Join(state, name), old), move(own, filepath.Join(state, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("copies of the queue: %w", err)
	}
	return nil
}

// aside is what the copies or marks of a Redis are called that is not in use.
func aside(name, place string) string {
	sum := sha256.Sum256([]byte(place))
	return fmt.Sprintf("%s.%x", name, sum[:4])
}

// move renames what is there, and leaves what is there already.
func move(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// dropCopies removes the copies of a Redis that has been moved from.
func dropCopies(state, place string) error {
	names := []string{aside(copiesDir, place), aside(marksFile, place)}
	last, err := lastPlace(state)
	if last == place {
		names = append(names, copiesDir, marksFile)
	}
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(state, name)))
	}
	return err
}
