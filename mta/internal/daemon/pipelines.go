package daemon

import (
	"context"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/postqueue"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var (
	_ queue.Hooks      = (*current)(nil)
	_ postqueue.Stages = (*pipeline.Pipeline)(nil)
)

// pipelines are the stages of a file, as they are asked: while a client waits,
// and behind the queue. A stage that has hooks of both kinds is in both, with
// one guest.
type pipelines struct{ session, queued *pipeline.Pipeline }

func newPipelines(hostname string, around surroundings) *pipelines {
	make := func() *pipeline.Pipeline {
		return &pipeline.Pipeline{Hostname: hostname, Log: around.log, Observer: around.observer, Tracer: around.tracer}
	}
	return &pipelines{session: make(), queued: make()}
}

// behind are the hooks that are always asked behind the queue.
var behind = []string{mail.HookRoute, mail.HookLocal, mail.HookDelivery, mail.HookDSN}

// add adds a stage where it has hooks. Its on_headers and on_message go with
// its `after:`.
func (p *pipelines) add(s *pipeline.Stage, afterQueue bool) {
	session, queued := *s, *s
	session.Hooks, queued.Hooks = nil, nil
	for _, hook := range s.Hooks {
		content := hook == mail.HookHeaders || hook == mail.HookMessage
		if slices.Contains(behind, hook) || content && afterQueue {
			queued.Hooks = append(queued.Hooks, hook)
		} else {
			session.Hooks = append(session.Hooks, hook)
		}
	}
	if len(session.Hooks) > 0 {
		p.session.Stages = append(p.session.Stages, session)
	}
	if len(queued.Hooks) > 0 {
		p.queued.Stages = append(p.queued.Stages, queued)
	}
}

// whole is both pipelines as one, for a run without a queue: what the first
// one takes is asked about at once by the second.
type whole struct{ *pipelines }

func (w whole) Asks(hook string) bool { return w.session.Asks(hook) }

func (w whole) Ask(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, error) {
	return w.session.Ask(ctx, hook, tx)
}

// Check has the verdict of the session, unless a stage after the queue thinks
// otherwise of the message itself.
func (w whole) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	verdict, err := w.session.Check(ctx, tx)
	if err != nil || !w.queued.Asks(mail.HookHeaders) && !w.queued.Asks(mail.HookMessage) {
		return verdict, err
	}
	parts := tx.More
	tx.More = nil
	if verdict == mail.Accept || verdict == mail.Quarantine {
		parts = append([]*mail.Transaction{tx}, parts...)
	}
	var more []*mail.Transaction
	for _, part := range parts {
		if part.SentBy == "" && len(part.Envelope.Recipients) > 0 {
			part.Queued = true
			later, err := w.queued.Check(ctx, part)
			if err != nil {
				return later, err
			}
			if part == tx && verdict != mail.Quarantine {
				verdict = later
			}
		}
		more = append(more, part.More...)
		if part.More = nil; part != tx {
			more = append(more, part)
		}
	}
	tx.More = more
	return verdict, nil
}
