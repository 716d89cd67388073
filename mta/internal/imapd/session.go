package imapd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gosasl "github.com/emersion/go-sasl"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/sasl"
)

// A session is one connection, as go-imap asks for it. go-imap calls it from
// one goroutine, but for Idle, which it may leave behind when the connection
// breaks; idle sees to that.
type session struct {
	server *Server
	conn   *imapserver.Conn
	client netip.Addr
	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	account string // empty before login
	refused int    // logins

	box      *mailbox.Mailbox // nil: none is selected
	view     *view            // of box
	readOnly bool             // EXAMINE
	saved    imap.UIDSet      // SEARCHRES (RFC 5182)

	idle sync.WaitGroup
}

var (
	_ imapserver.SessionIMAP4rev2   = (*session)(nil)
	_ imapserver.SessionSASL        = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
)

func (s *Server) newSession(conn *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	sess := &session{server: s, conn: conn, client: clientAddr(conn.NetConn())}
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
		return nil
	}
	if t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); ok && t.Temporary() {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "Try again later"}
	}
	if s.refused++; s.refused >= s.server.Limits.Logins {
		return errTooManyLogins
	}
	return imapserver.ErrAuthFailed
}

// errTooManyLogins ends the session: BYE closes it (RFC 3501 §7.1.5).
var errTooManyLogins = &imap.Error{Type: imap.StatusResponseTypeBye, Text: "Too many failed logins"}

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
	box, err := s.server.Store.Mailbox(s.account, name)
	if err != nil {
		return nil, toIMAP(err)
	}
	now, err := box.Reload()
	if err != nil {
		box.Close()
		return nil, toIMAP(err)
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
	s.unselect()
	return nil
}

func (s *session) unselect() {
	if s.box != nil {
		s.box.Close()
	}
	s.box, s.view, s.saved = nil, nil, nil
}

// Poll implements [imapserver.Session].
func (s *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	if s.box == nil {
		return nil
	}
	now, err := s.box.Refresh()
	if err != nil {
		return s.lost(err)
	}
	return tell(w, s.view.follow(now, allowExpunge))
}

// lost ends a session whose mailbox went away under it, deleted or renamed by
// another: there is no way to go on (RFC 2180 §3.3).
func (s *session) lost(err error) error {
	if errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrClosed) {
		s.conn.Bye("The selected mailbox is gone")
		return err
	}
	return toIMAP(err)
}

// Idle implements [imapserver.Session] (RFC 2177).
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.idle.Add(1)
	defer s.idle.Done()
	if s.box == nil {
		s.await(stop)
		return nil
	}
	watch := s.box.Watch()
	defer watch.Close()
	for {
		if err := s.Poll(w, true); err != nil {
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

func (s *session) await(stop <-chan struct{}) {
	select {
	case <-stop:
	case <-s.ctx.Done():
	}
}

// Append implements [imapserver.Session].
func (s *session) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	flags, err := parseFlags(options.Flags)
	if err != nil {
		return nil, err
	}
	// Memory for it: a literal is bounded by AppendLimit, and go-imap has
	// nothing to say if the client stops in the middle of it.
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) != r.Size() {
		return nil, io.ErrUnexpectedEOF
	}
	at, err := s.server.Store.Append(s.account, name, bytes.NewReader(content), flags, options.Time)
	if err != nil {
		return nil, tryCreate(err)
	}
	return &imap.AppendData{UID: imap.UID(at.UID), UIDValidity: at.UIDValidity}, nil
}

// toIMAP is what the client is told of an error of the store. Others are
// private.
func toIMAP(err error) error {
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
	return err
}

// tryCreate is toIMAP for commands that name a mailbox to put messages into
// (RFC 3501 §7.1, TRYCREATE).
func tryCreate(err error) error {
	if errors.Is(err, mailbox.ErrNoMailbox) {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeTryCreate, Text: "No such mailbox"}
	}
	return toIMAP(err)
}

// codeExpungeIssued says that the client has to hear of expunged messages
// first (RFC 5530 §3).
const codeExpungeIssued imap.ResponseCode = "EXPUNGEISSUED"
