package imapd

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gosasl "github.com/emersion/go-sasl"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/sasl"
)

// A session is one connection, as go-imap asks for it. go-imap calls it from
// one goroutine, but for Idle: that one it leaves behind when the connection
// breaks, and when the client ends IDLE with anything but DONE.
type session struct {
	server *Server
	conn   *imapserver.Conn
	gate   *gate
	client netip.Addr
	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	account string // empty before login
	refused int    // logins

	mu       sync.Mutex       // guards what follows; held while a command is carried out
	closed   bool             //
	box      *mailbox.Mailbox // nil: none is selected
	view     *view            // of box
	readOnly bool             // EXAMINE
	saved    imap.UIDSet      // SEARCHRES (RFC 5182)
	kept     keeper           // of box

	idle sync.WaitGroup
}

var (
	_ imapserver.SessionIMAP4rev2   = (*session)(nil)
	_ imapserver.SessionSASL        = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
)

func (s *Server) newSession(conn *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	sess := &session{server: s, conn: conn, client: clientAddr(conn.NetConn())}
	sess.gate = conn.NetConn().(*gate) // all that a feed has
	sess.ctx, sess.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, nil, errShuttingDown
	}
	s.sessions[sess] = struct{}{}
	s.Log.Debug("connected", "listener", "imap", "client", sess.client)
	return sess, &imapserver.GreetingData{}, nil
}

var errShuttingDown = &imap.Error{Type: imap.StatusResponseTypeBye, Code: imap.ResponseCodeUnavailable, Text: "Server is shutting down"}

// Close implements [imapserver.Session].
func (s *session) Close() error {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.idle.Wait()
	s.unselect()
	s.server.mu.Lock()
	delete(s.server.sessions, s)
	s.server.mu.Unlock()
	return nil
}

// Login implements [imapserver.Session].
func (s *session) Login(login, password string) error {
	account, err := s.server.Accounts.Authenticate(s.ctx, login, password, s.client)
	if s.server.Observer != nil {
		s.server.Observer.Login(err == nil)
	}
	if err == nil {
		s.account = account
		s.gate.loggedInNow()
		return nil
	}
	if t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); ok && t.Temporary() {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "Try again later"}
	}
	s.server.Log.Info("rejected", "listener", "imap", "client", s.client, "login", login, "err", err)
	if s.refused++; s.refused >= s.server.Limits.Logins {
		s.gate.end("Too many failed logins")
	}
	return imapserver.ErrAuthFailed
}

// AuthenticateMechanisms implements [imapserver.SessionSASL].
func (s *session) AuthenticateMechanisms() []string { return sasl.Mechanisms() }

// Authenticate implements [imapserver.SessionSASL].
func (s *session) Authenticate(mechanism string) (gosasl.Server, error) {
	server, ok := sasl.NewServer(mechanism, s.Login)
	if !ok {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: "Mechanism not supported"}
	}
	return malformed{server}, nil
}

// malformed makes what a mechanism cannot read a client's mistake.
type malformed struct{ gosasl.Server }

// Next implements [gosasl.Server].
func (m malformed) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := m.Server.Next(response)
	if errors.Is(err, sasl.ErrMalformed) {
		err = &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "Malformed response"}
	}
	if len(challenge) == 0 {
		challenge = nil // go-imap would write `=`, which only initial responses have (RFC 4959 §3)
	}
	return challenge, done, err
}

// AppendLimit implements [imapserver.SessionAppendLimit].
func (s *session) AppendLimit() uint32 { return uint32(min(s.server.Limits.Message, 1<<32-1)) }

// Namespace implements [imapserver.SessionNamespace]: every mailbox is the
// account's own.
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: mailbox.Separator}}}, nil
}

// Select implements [imapserver.Session].
func (s *session) Select(name string, options *imap.SelectOptions) (*imap.SelectData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	box, err := s.server.Store.Mailbox(s.account, name)
	if err != nil {
		return nil, s.refusal(err)
	}
	now, err := box.Reload()
	if err != nil {
		box.Close()
		return nil, s.refusal(err)
	}
	s.unselect()
	s.box, s.view, s.readOnly, s.saved = box, newView(now), options.ReadOnly, nil
	data := &imap.SelectData{
		Flags:             knownFlags(now),
		PermanentFlags:    permanentFlags(now),
		NumMessages:       uint32(len(now.Messages)),
		FirstUnseenSeqNum: firstUnseen(now),
		UIDNext:           imap.UID(now.UIDNext),
		UIDValidity:       now.UIDValidity,
	}
	if s.conn.EnabledCaps().Has(imap.CapIMAP4rev2) { // RFC 9051 §6.3.2
		data.List = &imap.ListData{Mailbox: box.Name(), Delim: mailbox.Separator}
	}
	if s.readOnly {
		data.PermanentFlags = nil // nothing can be changed (RFC 3501 §6.3.2)
	}
	return data, nil
}

func firstUnseen(v *mailbox.View) uint32 {
	for i := range v.Messages {
		if v.Messages[i].Flags.System&mailbox.Seen == 0 {
			return uint32(i + 1)
		}
	}
	return 0
}

// Unselect implements [imapserver.Session].
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unselect()
	return nil
}

func (s *session) unselect() {
	if s.box != nil {
		s.box.Close()
	}
	s.box, s.view, s.saved = nil, nil, nil
	s.kept.drop(&s.server.kept)
}

// Poll implements [imapserver.Session].
func (s *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll(w, allowExpunge)
}

func (s *session) poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	if s.box == nil {
		return nil
	}
	now, err := s.box.Refresh()
	if err != nil {
		return s.lost(err)
	}
	if err := s.tellKeywords(w, now); err != nil {
		return err
	}
	return tell(w, s.view.follow(now, allowExpunge))
}

// tellKeywords tells of keywords that are new in the mailbox, before any
// message has them (RFC 3501 §7.2.6).
func (s *session) tellKeywords(w *imapserver.UpdateWriter, now *mailbox.View) error {
	if slices.Equal(now.Keywords, s.view.seen.Keywords) {
		return nil
	}
	return w.WriteMailboxFlags(knownFlags(now))
}

// lost ends a session whose mailbox went away under it, deleted or renamed by
// another: there is no way to go on (RFC 2180 §3.3).
func (s *session) lost(err error) error {
	if errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrClosed) {
		s.gate.end("The selected mailbox is gone")
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeNonExistent, Text: "The selected mailbox is gone"}
	}
	s.gate.end(errServer.Text) // of a poll's error go-imap tells nobody, and closes
	return s.refusal(err)
}

// Idle implements [imapserver.Session] (RFC 2177).
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	watch, ok := s.beginIdle()
	if !ok {
		return nil
	}
	defer s.idle.Done()
	if watch == nil { // no mailbox is selected
		select {
		case <-stop:
		case <-s.ctx.Done():
		}
		return nil
	}
	defer watch.Close()
	for {
		if err := s.pollUntil(w, stop); err != nil {
			return err
		}
		select {
		case <-watch.C:
		case <-stop:
			return nil
		case <-s.ctx.Done():
			return nil
		}
	}
}

// beginIdle is not ok if the session is over already.
func (s *session) beginIdle() (watch *mailbox.Watch, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.idle.Add(1)
	if s.box != nil {
		watch = s.box.Watch()
	}
	return watch, true
}

// pollUntil polls, unless the next command may have begun.
func (s *session) pollUntil(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-stop:
		return nil
	default:
		return s.poll(w, true)
	}
}

// Append implements [imapserver.Session]. The message goes to the disk as it
// comes.
func (s *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	flags, err := s.parseFlags(options.Flags)
	if err != nil {
		return nil, err
	}
	if r.Size() == 0 {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: "A message has at least one octet"}
	}
	at, err := s.server.Store.Append(s.account, name, &wholeReader{r, r.Size()}, flags, options.Time)
	if err != nil {
		return nil, s.tryCreate(err)
	}
	return &imap.AppendData{UID: imap.UID(at.UID), UIDValidity: at.UIDValidity}, nil
}

// A wholeReader makes the end of a literal that is not whole an error.
type wholeReader struct {
	r    io.Reader
	left int64
}

// Read implements [io.Reader].
func (w *wholeReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.left -= int64(n); err == io.EOF && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// refusal is what the client is told of an error. One that is not of the store
// is private: it is logged. The text of that is not go-imap's, which is for
// what it cannot read (see gate).
func (s *session) refusal(err error) error {
	if _, ok := errors.AsType[*imap.Error](err); ok || err == nil {
		return err
	}
	for _, known := range []struct {
		err  error
		code imap.ResponseCode
		text string
	}{
		{mailbox.ErrNoMailbox, imap.ResponseCodeNonExistent, "No such mailbox"},
		{mailbox.ErrExists, imap.ResponseCodeAlreadyExists, "There is a mailbox with that name"},
		{mailbox.ErrName, imap.ResponseCodeCannot, "Not a name for a mailbox"},
		{mailbox.ErrInbox, imap.ResponseCodeCannot, "INBOX cannot be deleted"},
		{mailbox.ErrKeywords, imap.ResponseCodeLimit, "Too many different keywords in this mailbox"},
		{mailbox.ErrFlag, imap.ResponseCodeClientBug, "Not a flag"},
		{mailbox.ErrNoMessage, codeExpungeIssued, "Some of the messages are no more"},
	} {
		if errors.Is(err, known.err) {
			return &imap.Error{Type: imap.StatusResponseTypeNo, Code: known.code, Text: known.text}
		}
	}
	s.server.Log.Error("imap command", "account", s.account, "client", s.client, "err", err)
	return errServer
}

var errServer = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeServerBug, Text: "An error of the server, which its log has"}

// tryCreate is refusal for commands that name a mailbox to put messages into
// (RFC 3501 §7.1, TRYCREATE).
func (s *session) tryCreate(err error) error {
	if errors.Is(err, mailbox.ErrNoMailbox) {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeTryCreate, Text: "No such mailbox"}
	}
	return s.refusal(err)
}

// codeExpungeIssued says that the client has to hear of expunged messages
// first (RFC 5530 §3).
const codeExpungeIssued imap.ResponseCode = "EXPUNGEISSUED"
