package shared

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// marked is what a node remembers of Redis beyond its process, so that the next
// notices, too, that Redis lost what it had. It is written about once a second and
// need not be synced: of a Redis that was set back by less nothing is noticed, and
// one that is as durable as it has to be does not lose its last second.
type marked struct {
	Redis  string                  `json:"redis"` // what the marks are of
	Shards [mail.Shards]redis.Mark `json:"shards"`
}

// Place is the Redis that a file of marks is of; empty: there is no such file, or
// it cannot be understood.
func Place(file string) (string, error) {
	m, err := readMarks(file)
	if notRead(err) {
		return "", err
	}
	return m.Redis, nil
}

func readMarks(file string) (m marked, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return marked{}, fmt.Errorf("what is known of redis: %w", err)
	}
	return m, nil
}

// notRead tells an error of the disk from one of what stands there: a file that
// was not synced may be anything after a power loss.
func notRead(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// recall reads the marks. Those of another Redis say nothing of this one.
func (s *Store) recall() error {
	if s.o.Marks == "" {
		return nil
	}
	m, err := readMarks(s.o.Marks)
	if notRead(err) {
		return err
	}
	if err != nil {
		s.log.Warn("what was known of redis is lost", "file", s.o.Marks, "err", err)
		return nil
	}
	if m.Redis == s.o.Place {
		s.redis.Recall(m.Shards)
		s.saved = m
	}
	return nil
}

// saveMarks writes the marks, if there are others by now. While entries are put
// back those before that hold: the next process has to begin again.
func (s *Store) saveMarks() {
	if s.o.Marks == "" || !s.link.up() {
		return
	}
	m := marked{s.o.Place, s.redis.Marks()}
	if m == s.saved {
		return
	}
	if err := writeMarks(s.o.Marks, m); err != nil {
		s.log.Error("what is known of redis is not written", "err", err)
		return
	}
	s.saved = m
}

// writeMarks replaces the file in one step.
func writeMarks(file string, m marked) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
