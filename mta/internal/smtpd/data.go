package smtpd

import (
	"context"
	"errors"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errDataChunks = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "DATA cannot follow BDAT"}
	errChunkGone  = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "An earlier chunk was refused, send RSET"}
	errChunkHuge  = &smtp.Reply{Code: 521, Enh: smtp.Enh{5, 3, 4}, Text: "Chunk too large to wait for"}
	errDataEnd    = &smtp.Reply{Code: 521, Enh: smtp.Enh{5, 6, 11}, Text: "Bare CR or LF around a lone dot: the end of the message is in doubt (RFC 5321 section 4.1.1.4)"}
	goAhead       = &smtp.Reply{Code: 354, Text: `Enter mail, end with "." on a line by itself`}
)

// data receives the content and answers for the transaction (RFC 5321
// §4.1.1.4). Whatever the answer is, the transaction is over.
func (s *session) data(ctx context.Context, _ string) *smtp.Reply {
	if s.chunks != nil {
		return errDataChunks // RFC 3030 §2
	}
	defer s.endTransaction()
	if _, r := s.consult(ctx, mail.HookData); r != nil {
		return r
	}
	s.reply(goAhead)
	in := s.srv.newIncoming(s.trace)
	defer in.discard()
	s.wire.await(s.srv.limits.Data, s.srv.limits.DataIdle, false)
	if err := in.readData(s.wire); err != nil {
		s.dataBroken(err)
		return nil
	}
	s.conclude(ctx, in)
	return nil
}

// dataBroken ends the session in the middle of content: what may still come of
// it must not be taken for commands.
func (s *session) dataBroken(err error) {
	if errors.Is(err, errNoEnd) {
		s.end(errDataEnd)
		return
	}
	s.gone(err)
	s.linger = true
}

// bdat receives a chunk (RFC 3030 §2). Its octets are on their way in any
// case, so they are taken off the wire also where the command is refused; the
// session ends when nobody knows how many they are.
func (s *session) bdat(ctx context.Context, arg string) *smtp.Reply {
	size, last, err := smtp.ParseBdat(arg)
	if err != nil {
		s.end(smtp.ReplyTo(err))
		return nil
	}
	refusal := s.outOfSequence(rcptTo)
	if refusal == nil && s.chunks != nil && s.chunks.err != nil {
		refusal = errChunkGone
	}
	s.wire.await(s.srv.limits.Data, s.srv.limits.DataIdle, false)
	if size > s.srv.limits.Message {
		return errChunkHuge
	}
	if refusal != nil {
		return s.skipChunk(size, last, refusal)
	}
	if s.chunks == nil {
		_, r := s.consult(ctx, mail.HookData)
		s.chunks = s.srv.newIncoming(s.trace)
		if r != nil {
			s.chunks.refuse(r)
		}
	}
	if err := s.chunks.readChunk(s.wire, size); err != nil {
		s.dataBroken(err)
		return nil
	}
	switch {
	case last:
		defer s.endTransaction()
		s.chunks.finish()
		s.conclude(ctx, s.chunks)
		return nil
	case s.chunks.err != nil:
		return s.chunks.err
	}
	return s.ok(smtp.Enh{2, 0, 0}, "Chunk received")
}

// skipChunk takes a refused chunk off the wire. After the last one the client
// holds the transaction for over.
func (s *session) skipChunk(size int64, last bool, refusal *smtp.Reply) *smtp.Reply {
	if err := eachBlock(s.wire, size, func([]byte) {}); err != nil {
		s.dataBroken(err)
		return nil
	}
	if last && s.chunks != nil {
		s.endTransaction()
	}
	return refusal
}

// conclude answers for a message that was received in full.
func (s *session) conclude(ctx context.Context, in *incoming) {
	start := time.Now()
	size := in.received()
	r := in.err
	if r == nil {
		s.tx.Content = in.content()
		r = s.judge(ctx)
	}
	if r.Code >= 400 {
		s.rejected(r)
	}
	if s.srv.Listener == mail.ListenerLMTP {
		s.toEach(r)
	} else {
		s.reply(r)
	}
	if r.Code == 421 {
		s.closing, s.linger = true, true
	}
	s.srv.Observer.Received(s.srv.Listener, r.Code, size, time.Since(start))
}
