package spool_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
	"github.com/wasmta/wasmta/mta/internal/smtpd"
)

// everybody is a directory in which all recipients are local.
type everybody struct{}

func (everybody) Authenticate(context.Context, string, string, netip.Addr) (string, error) {
	return "", net.ErrClosed
}
func (everybody) Recipient(context.Context, mail.Path) (local, exists bool, err error) {
	return true, true, nil
}

// counting is a deliverer that waits until it may go on.
type counting struct {
	goOn chan struct{}
	got  chan mail.QueueID
}

func (c *counting) Deliver(_ context.Context, m *mail.Message) []mail.Result {
	<-c.goOn
	c.got <- m.ID
	return []mail.Result{{Outcome: mail.Delivered}}
}

// A client is a session that says whole transactions.
type client struct {
	t *testing.T
	*textproto.Conn
}

// send returns what is answered after the end of the content.
func (c client) send(octets int) string {
	c.t.Helper()
	for _, line := range []string{"MAIL FROM:<alice@crepes.fr>", "RCPT TO:<bob@hamburger.edu>", "DATA"} {
		if err := c.PrintfLine("%s", line); err != nil {
			c.t.Fatal(err)
		}
		if _, _, err := c.ReadResponse(map[string]int{"DATA": 354}[line]); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
	}
	c.W.WriteString(strings.Repeat("0123456789abcdefghijklmnopqrst\r\n", octets/32))
	if err := c.PrintfLine("."); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.ReadLine()
	if err != nil {
		c.t.Fatal(err)
	}
	return line
}

// A full disk is answered 452 4.3.1, for a content in the log and for one in a
// file, and the session goes on. What was accepted before is delivered meanwhile;
// once there is room, mail is accepted again.
func TestFullDiskIs452(t *testing.T) {
	d := faultdisk.New()
	store, err := spool.OpenWith("/queue", spool.Options{FS: d, SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	deliverer := &counting{goOn: make(chan struct{}), got: make(chan mail.QueueID, 10)}
	q := &queue.Queue{Store: store, Hostname: "hamburger.edu", Log: slog.New(slog.DiscardHandler), Deliverer: deliverer}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { q.Run(ctx) })
	srv := &smtpd.Server{Hostname: "hamburger.edu", Queue: q, Directory: everybody{}, TempDir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run.Go(func() { srv.Serve(l) })

	conn, err := textproto.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, conn}
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	if err := c.PrintfLine("EHLO crepes.fr"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadResponse(250); err != nil {
		t.Fatal(err)
	}
	wants := func(octets int, want string) {
		t.Helper()
		if got := c.send(octets); !strings.HasPrefix(got, want) {
			t.Errorf("%d octets are answered %q, want %s", octets, got, want)
		}
	}
	wants(1000, "250 2.0.0 ")
	d.Fill(0)
	for range 3 {
		wants(60<<10, "452 4.3.1 ") // more than the segment has left
		wants(200<<10, "452 4.3.1 ")
	}
	close(deliverer.goOn)
	<-deliverer.got
	d.Fill(-1)
	wants(60<<10, "250 2.0.0 ")
	wants(200<<10, "250 2.0.0 ")
	<-deliverer.got
	<-deliverer.got

	conn.Close()
	cancel()
	srv.Shutdown(ctx)
	run.Wait()
	stats, err := store.Stats(t.Context(), time.Now())
	if left := stats.Waiting + stats.Active + stats.Held; err != nil || left != 0 || len(deliverer.got) != 0 {
		t.Errorf("%d are left, %d were delivered beyond the three, %v", left, len(deliverer.got), err)
	}
	if err := store.Close(); err != nil || d.Handles() != 0 {
		t.Errorf("close: %v, %d files are open", err, d.Handles())
	}
}
