package redis

import "github.com/wasmta/wasmta/mta/internal/mail"

// A Mark says which a shard is, and how many changes of this node it had at some
// time: what it takes to notice that it was emptied or set back since. The zero
// Mark knows nothing.
type Mark struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
}

// Marks returns what this node knows of the shards.
func (s *Store) Marks() [mail.Shards]Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	var marks [mail.Shards]Mark
	for i, v := range s.shards {
		marks[i] = Mark{v.epoch, v.seq}
	}
	return marks
}

// Recall has a store know what an earlier process of this node knew. It must be
// called before anything is asked of Redis.
func (s *Store) Recall(marks [mail.Shards]Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range marks {
		s.shards[i] = view{m.Epoch, m.Seq}
	}
}

// Place names the queue that s is: where Redis is, and what its keys begin with.
// There is no password in it.
func (s *Store) Place() string { return s.address.String() + " " + s.o.Prefix }
