package mailbox

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

func (s *Store) now() time.Time                  { return time.Now() }
func (s *Store) since(t time.Time) time.Duration { return time.Since(t) }

// acquire returns the box of f, which stays in memory until it is released.
func (s *Store) acquire(f folder) (*box, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	b := s.boxes[f.dir]
	if b == nil {
		b = &box{store: s, folder: f}
		s.boxes[f.dir] = b
	} else if b.refs == 0 {
		s.idle = slices.DeleteFunc(s.idle, func(i *box) bool { return i == b })
	}
	b.refs++
	return b, nil
}

// release gives b back. Boxes that nobody uses are forgotten when there are
// too many of them.
func (s *Store) release(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.refs--; b.refs > 0 || s.boxes[b.folder.dir] != b {
		return
	}
	s.idle = append(s.idle, b)
	total := 0
	for _, i := range s.idle {
		total += int(i.count.Load())
	}
	for len(s.idle) > idleMailboxes || total > idleMessages && len(s.idle) > 0 {
		oldest := s.idle[0]
		s.idle = s.idle[1:]
		total -= int(oldest.count.Load())
		delete(s.boxes, oldest.folder.dir)
	}
}

// forget makes the next acquire of b's folder begin with a new box.
func (s *Store) forget(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boxes[b.folder.dir] != b {
		return
	}
	delete(s.boxes, b.folder.dir)
	s.idle = slices.DeleteFunc(s.idle, func(i *box) bool { return i == b })
}

// inUse returns the box of dir if somebody has it open.
func (s *Store) inUse(dir string) *box {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[dir]; b != nil && b.refs > 0 {
		return b
	}
	return nil
}

// retire ends the box of a folder that is deleted or has another name now.
func (s *Store) retire(dir string) {
	s.mu.Lock()
	b := s.boxes[dir]
	s.mu.Unlock()
	if b == nil {
		return
	}
	b.mu.Lock()
	b.gone = true
	b.mu.Unlock()
	s.forget(b)
	b.notify()
}

// use calls do with the box of f, loaded and looked at with care c. The folder
// must exist.
func (s *Store) use(f folder, c care, do func(*box) error) error {
	b, err := s.enter(f, c)
	if err != nil {
		return err
	}
	defer s.release(b)
	return do(b)
}

// enter acquires the box of f and looks at it with care c.
func (s *Store) enter(f folder, c care) (*box, error) {
	for try := 1; ; try++ {
		b, err := s.acquire(f)
		if err != nil {
			return nil, err
		}
		_, err = b.view(c)
		if err == nil {
			return b, nil
		}
		s.release(b)
		if errors.Is(err, ErrNoMailbox) {
			s.forget(b)
			if try == 1 {
				continue // it may be there again, as another one
			}
		}
		return nil, fmt.Errorf("mailbox %s of %s: %w", f.name, f.account, err)
	}
}
