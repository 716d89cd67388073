package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// sink is a Queue that keeps nothing.
type sink struct{}

func (sink) Enqueue(context.Context, *mail.Transaction) error { return nil }

// content has about size octets, framed for DATA.
func content(size int) string {
	line := "The quick brown fox jumps over the lazy dog, and then it sleeps.\r\n"
	return "Subject: ketchup\r\n\r\n" + strings.Repeat(line, size/len(line)) + ".\r\n"
}

// BenchmarkSession counts one message in a session that stays open: all that
// the server does from MAIL to the reply to the end of content, and what the
// client costs.
func BenchmarkSession(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		message := content(size)
		b.Run(fmt.Sprintf("commands one by one, %d KiB", size>>10), func(b *testing.B) {
			benchmarkMessages(b, message, []string{
				"MAIL FROM:<alice@crepes.fr>\r\n", "RCPT TO:<bob@hamburger.edu>\r\n", "DATA\r\n", message,
			}, 1)
		})
		b.Run(fmt.Sprintf("commands pipelined, %d KiB", size>>10), func(b *testing.B) {
			benchmarkMessages(b, message, []string{
				"MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n", message,
			}, 1)
		})
		b.Run(fmt.Sprintf("20 sessions, commands one by one, %d KiB", size>>10), func(b *testing.B) {
			benchmarkMessages(b, message, []string{
				"MAIL FROM:<alice@crepes.fr>\r\n", "RCPT TO:<bob@hamburger.edu>\r\n", "DATA\r\n", message,
			}, 10)
		})
	}
}

func benchmarkMessages(b *testing.B, message string, steps []string, parallel int) {
	addr := benchmarkServer(b)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	b.SetParallelism(parallel)
	if parallel == 1 {
		c := openSession(b, addr)
		for b.Loop() {
			c.message(b, steps)
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		c := openSession(b, addr)
		for pb.Next() {
			c.message(b, steps)
		}
	})
}

// BenchmarkConnections counts a session for each message, as smtp-source and
// most MTAs have it.
func BenchmarkConnections(b *testing.B) {
	addr := benchmarkServer(b)
	message := content(4 << 10)
	steps := []string{"MAIL FROM:<alice@crepes.fr>\r\n", "RCPT TO:<bob@hamburger.edu>\r\n", "DATA\r\n", message, "QUIT\r\n"}
	b.ReportAllocs()
	b.SetParallelism(10)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := openSession(b, addr)
			c.message(b, steps)
			c.conn.Close()
		}
	})
}

func benchmarkServer(b *testing.B) string {
	srv, _ := newServer(b)
	srv.Queue = sink{}
	srv.Limits.Messages, srv.Limits.Connections, srv.Limits.PerAddress = -1, -1, -1
	return serve(b, srv)
}

type benchClient struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func openSession(b *testing.B, addr string) *benchClient {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	c := &benchClient{conn: conn, in: bufio.NewReader(conn)}
	c.read(b)
	c.message(b, []string{"EHLO crepes.fr\r\n"})
	return c
}

// message sends each step and reads the replies to it.
func (c *benchClient) message(b *testing.B, steps []string) {
	for _, step := range steps {
		c.out = append(c.out[:0], step...)
		if _, err := c.conn.Write(c.out); err != nil {
			b.Error(err)
			return
		}
		n := 1
		if strings.HasPrefix(step, "MAIL") {
			n = strings.Count(step, "\r\n")
		}
		for range n {
			c.read(b)
		}
	}
}

func (c *benchClient) read(b *testing.B) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil || line[0] > '3' {
			b.Errorf("got %q, %v", line, err)
			return
		}
		if line[3] == ' ' {
			return
		}
	}
}
