package mailbox

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// A dirSyncer brings folders to stable storage, so that names in them survive
// a loss of power. Callers that ask for the same folder at the same time share
// one sync, of which the first one that needs it is the leader. The zero
// dirSyncer is ready. Safe for concurrent use.
type dirSyncer struct {
	mu   sync.Mutex // guards dirs and the rounds in it
	dirs map[string]*syncState
}

type syncState struct {
	running *syncRound
	next    *syncRound // nil: nobody waits
}

type syncRound struct {
	done chan struct{}
	err  error // set before done is closed
}

// sync returns once every name that was in dir at the call is stable.
func (d *dirSyncer) sync(dir string) error {
	d.mu.Lock()
	st := d.dirs[dir]
	if st == nil { // nobody syncs dir
		st = &syncState{running: &syncRound{done: make(chan struct{})}}
		if d.dirs == nil {
			d.dirs = map[string]*syncState{}
		}
		d.dirs[dir] = st
		d.mu.Unlock()
		return d.lead(dir, st, st.running)
	}
	// The sync that is running may have begun before our name was there.
	round, running := st.next, st.running
	if round != nil {
		d.mu.Unlock()
		<-round.done
		return round.err
	}
	round = &syncRound{done: make(chan struct{})}
	st.next = round
	d.mu.Unlock()
	<-running.done
	d.mu.Lock()
	st.running, st.next = round, nil
	d.mu.Unlock()
	return d.lead(dir, st, round)
}

func (d *dirSyncer) lead(dir string, st *syncState, round *syncRound) error {
	round.err = disk.OS{}.SyncDir(dir)
	d.mu.Lock()
	if st.next == nil {
		delete(d.dirs, dir)
	}
	d.mu.Unlock()
	close(round.done)
	return round.err
}

// writeFile replaces name by data, durably and at once.
func (s *Store) writeFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, disk.SyncFile(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return s.dirs.sync(filepath.Dir(name))
}

// makeDir makes dir and what is missing above it, durably.
func (s *Store) makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := s.makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return s.dirs.sync(parent)
}

// A keyedMutex is a lock for each name. The zero one is ready.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[string]*keyedLock
}

type keyedLock struct {
	mu    sync.Mutex
	users int // guarded by keyedMutex.mu
}

func (k *keyedMutex) lock(name string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyedLock{}
	}
	l := k.locks[name]
	if l == nil {
		l = &keyedLock{}
		k.locks[name] = l
	}
	l.users++
	k.mu.Unlock()
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		k.mu.Lock()
		if l.users--; l.users == 0 {
			delete(k.locks, name)
		}
		k.mu.Unlock()
	}
}
