package fault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

// An inside is a whole queue within this process: it accepts, claims, delivers,
// defers, bounces and compacts on a disk in memory that breaks at a call of our
// choice. What the process would have done after that has not happened. A second
// life on what is left of the disk has to bring everything to its end.
type inside struct {
	ledger *Ledger
	seed   uint64
	disk   *faultdisk.Disk

	about gauge

	files func(disk.FS) disk.FS         // puts something before the disk; nil: nothing
	store func(queue.Store) queue.Store // puts something before the store; nil: nothing
}

const (
	insideName    = "inside.test"
	insideSenders = 3
	insideEach    = 5       // messages of a sender, by turns large
	insideSegment = 8 << 10 // so that there is something to compact
	insideLarge   = 132 << 10

	// insideGrace is how long a life may take to end: with a disk that has stopped
	// it cannot write down anything, and tries.
	insideGrace = time.Millisecond

	// insideRest is how long the first life goes on after its last message, if the
	// disk lets it.
	insideRest = 300 * time.Millisecond

	// insideTime is how long the second may take: a hundred times what it needs.
	insideTime = 20 * time.Second
)

// first is the life in which the disk breaks. It ends when the disk has stopped,
// or a moment after the last message, whatever is left.
func (in *inside) first(ctx context.Context) error {
	return in.live(ctx, func(q *queue.Queue, s *spool.Store) error {
		var senders sync.WaitGroup
		for i := range insideSenders {
			senders.Go(func() { in.send(ctx, q, s, i) })
		}
		senders.Wait()
		_, err := in.drain(ctx, s, insideRest)
		in.keepUp(s)
		in.disk.Stop() // killed, at the latest now
		return err
	})
}

// second brings to its end what is left, and returns what is not.
func (in *inside) second(ctx context.Context) (q queued, err error) {
	in.ledger.died()
	err = in.live(ctx, func(_ *queue.Queue, s *spool.Store) error {
		q, err = in.drain(ctx, s, insideTime)
		return err
	})
	return q, err
}

// live runs a queue while f does something with it. That the disk has stopped is
// no error.
func (in *inside) live(ctx context.Context, f func(*queue.Queue, *spool.Store) error) (err error) {
	var files disk.FS = in.disk
	if in.files != nil {
		files = in.files(files)
	}
	opened := in.about.begin(opening)
	s, err := spool.OpenWith("/queue", spool.Options{FS: files, SegmentSize: insideSegment, ManualUpkeep: true})
	opened()
	if err != nil {
		return in.unlessStopped(err)
	}
	defer func() { err = errors.Join(err, in.unlessStopped(s.Close())) }()
	q := &queue.Queue{
		Store: &witness{in.lying(s), in.ledger, &in.about}, Deliverer: in, Hostname: insideName, Log: slog.New(slog.DiscardHandler),
		Schedule: queue.Schedule{First: time.Millisecond, Factor: 1, Max: time.Millisecond}, Grace: insideGrace,
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { q.Run(ctx) })
	defer running.Wait()
	defer cancel()
	return f(q, s)
}

func (in *inside) lying(s queue.Store) queue.Store {
	if in.store == nil {
		return s
	}
	return in.store(s)
}

func (in *inside) unlessStopped(err error) error {
	if in.disk.Stopped() {
		return nil
	}
	return err
}

// send is a client that hands in messages one after the other, and now and then
// somebody who clears up.
func (in *inside) send(ctx context.Context, q *queue.Queue, s *spool.Store, who int) {
	random := rand.New(rand.NewPCG(in.seed, uint64(who)))
	for i := range insideEach {
		token := fmt.Sprintf("%08x-%d-%d", uint32(in.seed), who, i)
		rcpts := insideRecipients(random, who)
		size := 500 + random.IntN(3000)
		if i == who+1 {
			size = insideLarge
		}
		content := compose(random, token, rcpts, size)
		in.ledger.send(token, rcpts, content)
		err := q.Enqueue(ctx, transaction(rcpts, content))
		switch {
		case in.disk.Stopped(): // nobody is left to answer
			return
		case err != nil:
			in.ledger.answered(token, 451, "")
		default:
			in.ledger.answered(token, 250, "")
		}
		if i > 0 && who == 0 {
			in.keepUp(s)
		}
	}
}

func (in *inside) keepUp(s *spool.Store) {
	defer in.about.begin(compacting)()
	_ = s.Upkeep() // what it cannot do now it does later
}

func transaction(rcpts []string, content []byte) *mail.Transaction {
	now := time.Now()
	tx := &mail.Transaction{ID: mail.NewQueueID(now), Received: now, Content: mail.Bytes(content)}
	tx.Envelope.ReversePath = toPath(sender)
	for _, rcpt := range rcpts {
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: toPath(rcpt), Original: toPath(rcpt)})
	}
	return tx
}

func toPath(address string) mail.Path {
	local, domain, _ := strings.Cut(address, "@")
	return mail.Path{Local: local, Domain: domain}
}

// insideRecipients are one to three, each with a fate.
func insideRecipients(random *rand.Rand, who int) (all []string) {
	fates := []string{"ok", "later", "never"}
	random.Shuffle(len(fates), func(i, j int) { fates[i], fates[j] = fates[j], fates[i] })
	for _, fate := range fates[:1+random.IntN(3)] {
		all = append(all, fmt.Sprintf("u%d@%s.test", who, fate))
	}
	return all
}

// Deliver implements [mail.Deliverer]: it is all mailboxes and next hops. A
// process whose disk has stopped is dead, and brings nothing anywhere.
func (in *inside) Deliver(_ context.Context, m *mail.Message) []mail.Result {
	results := make([]mail.Result, len(m.Envelope.Recipients))
	content, err := readAll(m.Content)
	now := time.Now()
	a := arrival{node: insideName, begin: now, end: now, seen: true, id: string(m.ID), unwritten: true}
	for i, rcpt := range m.Envelope.Recipients {
		switch {
		case err != nil || in.disk.Stopped():
			results[i] = mail.Result{Outcome: mail.Deferred, Err: err}
		case rcpt.Path.Domain == senderDomain:
			in.ledger.notified(a, content)
			results[i] = mail.Result{Outcome: mail.Relayed}
		case rcpt.Path.Domain == "never.test":
			results[i] = mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.1.1", Text: "no"}
		case rcpt.Path.Domain == "later.test" && m.Attempts == 0:
			results[i] = mail.Result{Outcome: mail.Deferred, Code: 451, Enh: "4.3.0", Text: "later", Peer: true}
		default:
			in.ledger.arrived(a, []string{rcpt.Path.String()}, content)
			results[i] = mail.Result{Outcome: mail.Relayed}
		}
	}
	return results
}

// drain waits until nothing is left to be done, or for that long, and returns
// what is held, or does not go.
func (in *inside) drain(ctx context.Context, s *spool.Store, most time.Duration) (q queued, err error) {
	deadline := time.Now().Add(most)
	for {
		stats, err := s.Stats(ctx, time.Now())
		switch {
		case in.disk.Stopped():
			return q, nil
		case err != nil:
			return q, err
		case stats.Waiting+stats.Active == 0 || time.Now().After(deadline):
			return in.left(ctx, s)
		}
		if err := ctx.Err(); err != nil {
			return q, err
		}
		time.Sleep(time.Millisecond)
	}
}

// left is what is in the store.
func (in *inside) left(ctx context.Context, s *spool.Store) (queued, error) {
	q := queued{rcpts: map[target]bool{}, dsns: map[target]bool{}}
	entries, err := s.List(ctx, time.Now(), queue.Filter{}, "", 1000)
	if err != nil {
		return q, in.unlessStopped(err)
	}
	for _, e := range entries {
		c, err := s.Content(ctx, e.ID)
		if err != nil {
			continue // then it is in no account, and lost
		}
		content, err := readAll(c)
		if err != nil {
			continue
		}
		m := queuedMessage{ID: string(e.ID), Held: e.Held}
		for _, rcpt := range e.Envelope.Recipients {
			m.Recipients = append(m.Recipients, queuedRecipient{Path: rcpt.Path.String()})
		}
		q.add(m, content)
	}
	return q, nil
}
