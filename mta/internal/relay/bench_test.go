package relay

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// drain is a server that takes all mail and does as little as it can.
func drain(b *testing.B) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				drainSession(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func drainSession(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64<<10)
	w := bufio.NewWriter(conn)
	w.WriteString("220 drain\r\n")
	for data := false; ; {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case data && string(line) != ".\r\n":
			continue
		case bytes.HasPrefix(line, []byte("EHLO")):
			w.WriteString("250-drain\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			w.WriteString("354 go\r\n")
			data = true
			continue
		default:
			w.WriteString("250 2.0.0 ok\r\n")
		}
		data = false
	}
}

// Content of 4 KB to a next hop over connections in use.
func BenchmarkDeliver(b *testing.B) {
	m := &mail.Message{Content: mail.Bytes("Subject: hi\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64))}
	m.Envelope.ReversePath = mail.Path{Local: "alice", Domain: "crepes.fr"}
	m.Envelope.Recipients = []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}}
	run := func(b *testing.B, each func(*Relay)) {
		r := to(b, "smtp://"+drain(b))
		b.SetBytes(m.Content.Size())
		b.ReportAllocs()
		b.ResetTimer()
		each(r)
	}
	one := func(r *Relay) {
		if res := r.Deliver(b.Context(), m, nil)[0]; res.Outcome != mail.Relayed {
			b.Error(short(res), res.Err)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		run(b, func(r *Relay) {
			for b.Loop() {
				one(r)
			}
		})
	})
	b.Run("ten at a time", func(b *testing.B) {
		run(b, func(r *Relay) {
			b.SetParallelism(5)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one(r)
				}
			})
		})
	})
}

func BenchmarkScan8Bit(b *testing.B) {
	c := mail.Bytes(strings.Repeat("x", 1<<20))
	b.SetBytes(c.Size())
	for b.Loop() {
		scan8Bit(c)
	}
}
