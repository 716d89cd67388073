// Package mailbox is the message store: a Maildir++ tree for each account,
// which other programs may read and change at the same time. It gives messages
// UIDs that stay, keeps flags, and tells who watches what has changed. Who may
// look into a mailbox, and over which protocol, is not its matter.
//
// On the disk, below the root:
//
//	bob@hamburger.edu/            INBOX
//	    cur/ new/ tmp/            messages, as Maildir has it; flags in the name: `:2,FS`
//	    mta-uidlist               UIDs of this mailbox (uidlist.go)
//	    dovecot-keywords          what the letters a to z in names stand for
//	    subscriptions             as Dovecot has it
//	    mta-special-use           uses that were asked for at CREATE
//	    .Lists.go/                the mailbox Lists/go; segments in modified UTF-7
//
// A message file has the octets that came, exactly. What is read from the
// store has CRLF line ends always: a file of another program with bare LF is
// converted on its way out, and its size is that of the converted message.
package mailbox

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Errors of this package; they come wrapped.
var (
	ErrNoMailbox = errors.New("no such mailbox")      // never was, or was deleted or renamed meanwhile
	ErrExists    = errors.New("mailbox exists")       //
	ErrName      = errors.New("not a mailbox name")   // the wrapping error says why
	ErrAccount   = errors.New("not an account name")  //
	ErrInbox     = errors.New("INBOX stays")          // it cannot be deleted
	ErrNoMessage = errors.New("no such message")      // never was, or is expunged
	ErrKeywords  = errors.New("too many keywords")    // a Maildir has room for 26
	ErrFlag      = errors.New("not a flag")           //
	ErrClosed    = errors.New("message store closed") //
)

// A UID identifies a message within one UIDVALIDITY (RFC 9051 §2.3.1.1). It is
// never used for another message. Zero is no message.
type UID uint32

// A Message is one message of a [View]. It is a value and never changes.
type Message struct {
	UID    UID
	ModSeq uint64    // of the last change of its flags, or of its coming
	Flags  Flags     //
	Size   int64     // octets with CRLF line ends: what [Mailbox.Open] gives
	Date   time.Time // INTERNALDATE: when it came, to the second

	base  string // name without flags
	info  string // the rest of it: ":2,S"; empty in new/
	inNew bool
}

// A View is a mailbox at one moment. It never changes, and may be kept and
// shared: sequence numbers are places in Messages, plus one.
type View struct {
	UIDValidity  uint32
	UIDNext      UID       // no message has this UID or a higher one yet
	ModSeq       uint64    // grows with each change, while the server runs
	Messages     []Message // by ascending UID; not to be written to
	Keywords     []string  // those in use in this mailbox
	MoreKeywords bool      // there is room for another keyword
}

// Find returns the place of uid in v.Messages. Where it is not there, place is
// that of the next higher UID.
func (v *View) Find(uid UID) (place int, ok bool) { return find(v.Messages, uid) }

// Status counts the messages of v.
func (v *View) Status() Status {
	s := Status{UIDValidity: v.UIDValidity, UIDNext: v.UIDNext, ModSeq: v.ModSeq, Messages: len(v.Messages)}
	for i := range v.Messages {
		m := &v.Messages[i]
		s.Size += m.Size
		if m.Flags.System&Seen == 0 {
			s.Unseen++
		}
		if m.Flags.System&Deleted != 0 {
			s.Deleted++
			s.DeletedSize += m.Size
		}
	}
	return s
}

// A Status sums up a mailbox.
type Status struct {
	UIDValidity uint32
	UIDNext     UID
	ModSeq      uint64
	Messages    int
	Unseen      int   // without \Seen
	Deleted     int   // with \Deleted
	Size        int64 // octets of all messages
	DeletedSize int64 // of those with \Deleted
}

// Changes are what leads from one view to a later one of the same mailbox.
type Changes struct {
	Expunged []UID     // ascending; in the first view only
	Changed  []Message // flags differ; as they are now
	Added    []Message // in the second view only; their UIDs are higher than all in the first
}

// Empty tells whether nothing changed.
func (c Changes) Empty() bool {
	return len(c.Expunged) == 0 && len(c.Changed) == 0 && len(c.Added) == 0
}

// Since compares v with an earlier view of the same mailbox.
func (v *View) Since(before *View) Changes {
	var c Changes
	if v == before || v.ModSeq == before.ModSeq {
		return c
	}
	now := v.Messages
	for i := range before.Messages {
		old := &before.Messages[i]
		if len(now) == 0 || now[0].UID != old.UID {
			c.Expunged = append(c.Expunged, old.UID)
			continue
		}
		if now[0].Flags != old.Flags {
			c.Changed = append(c.Changed, now[0])
		}
		now = now[1:]
	}
	c.Added = now
	return c
}

// Options are what a [Store] may be told. The zero value will do.
type Options struct {
	// Hostname goes into the names of files. Empty: the system's.
	Hostname string
	// Known returns the right name of an account that messages are delivered
	// to, and whether there is one. Nil: any account that can be a folder is.
	Known func(account string) (name string, ok bool)
	// Poll is how often a watched mailbox is looked at for changes of other
	// programs. Zero: DefaultPoll.
	Poll time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// Limits of the store that no one has reason to change.
const (
	// DefaultPoll is soon enough for a person who waits for mail that another
	// program delivers, and costs two system calls.
	DefaultPoll = 2 * time.Second
	// idleMessages is how many messages of mailboxes that nobody has open stay
	// in memory (some 200 octets each), so that the next session finds them.
	idleMessages = 100_000
	// idleMailboxes bounds the same for mailboxes that are empty.
	idleMailboxes = 1000
)

// A Store is the mailboxes of all accounts. Make it with [Open]. Safe for
// concurrent use. One process at a time may have a root open; programs that
// speak Maildir may come and go.
type Store struct {
	root string
	opt  Options
	log  *slog.Logger
	dirs dirSyncer
	name namer

	mu       sync.Mutex // guards what follows; taken before a box's mu, never after
	boxes    map[string]*box
	idle     []*box // those with refs == 0, the longest unused first
	closed   bool
	validity uint32 // the last UIDVALIDITY given out

	accountMu keyedMutex     // guards folders and account files, by account
	pollers   sync.WaitGroup // Add only under mu while not closed
}

// Open returns the store below root, which is made if it is not there.
func Open(root string, opt Options) (*Store, error) {
	if opt.Hostname == "" {
		opt.Hostname, _ = os.Hostname() // only makes names a little more telling
	}
	if opt.Poll <= 0 {
		opt.Poll = DefaultPoll
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open message store: %w", err)
	}
	s := &Store{root: root, opt: opt, log: opt.Log, boxes: map[string]*box{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.name.init(opt.Hostname)
	if err := s.makeDir(root); err != nil {
		return nil, fmt.Errorf("open message store: %w", err)
	}
	return s, nil
}

// Close ends what watches and makes every later call fail. Mailboxes that are
// still open stay readable.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	boxes := s.boxes
	s.boxes, s.idle = map[string]*box{}, nil
	s.mu.Unlock()
	for _, b := range boxes {
		b.stopWatching()
	}
	s.pollers.Wait()
	return nil
}

// A Mailbox is an open mailbox. Several of them may be of the same mailbox;
// each is closed once. Safe for concurrent use.
type Mailbox struct {
	box  *box
	name string
	once sync.Once
}

// Mailbox opens the mailbox name of account. INBOX is made where it is not
// there; any other must exist.
func (s *Store) Mailbox(account, name string) (*Mailbox, error) {
	f, err := s.folder(account, name)
	if err != nil {
		return nil, err
	}
	if err := s.ensure(f, f.inbox()); err != nil {
		return nil, err
	}
	b, err := s.enter(f, look)
	if err != nil {
		return nil, err
	}
	return &Mailbox{box: b, name: f.name}, nil
}

// Close gives m back. Watches of m must be closed before.
func (m *Mailbox) Close() { m.once.Do(func() { m.box.store.release(m.box) }) }

// Name is the mailbox's name, with INBOX in capitals.
func (m *Mailbox) Name() string { return m.name }

// View returns the mailbox as this process knows it: all that was done through
// this store is in it. Changes by other programs are, once somebody noticed.
// It is cheap.
func (m *Mailbox) View() (*View, error) { return m.box.view(remember) }

// Refresh is View after a look at the disk, at most once a second: changes of
// other programs are in it with that delay. For NOOP and IDLE.
func (m *Mailbox) Refresh() (*View, error) { return m.box.view(glance) }

// Reload is View after a look at the disk in any case.
func (m *Mailbox) Reload() (*View, error) { return m.box.view(look) }

// Lock takes the lock of the maildrop (RFC 1939 §4); ok is false while another
// has it. It keeps nobody but other callers of Lock away.
func (m *Mailbox) Lock() (unlock func(), ok bool) {
	if !m.box.maildrop.TryLock() {
		return nil, false
	}
	return sync.OnceFunc(m.box.maildrop.Unlock), true
}

// Status sums up the mailbox name of account, after a look at the disk.
func (s *Store) Status(account, name string) (Status, error) {
	m, err := s.Mailbox(account, name)
	if err != nil {
		return Status{}, err
	}
	defer m.Close()
	v, err := m.View()
	if err != nil {
		return Status{}, err
	}
	return v.Status(), nil
}

// Open opens the message uid for reading.
func (m *Mailbox) Open(uid UID) (*Content, error) { return m.box.open(uid) }

// A Content is an open message, with CRLF line ends.
type Content struct {
	*io.SectionReader
	file *os.File // nil: it is in memory
}

// Close ends the reading.
func (c *Content) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
