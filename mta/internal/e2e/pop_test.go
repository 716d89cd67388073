package e2e

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
)

// A popClient is enough POP3 to read a mailbox.
type popClient struct {
	t    testing.TB
	text *textproto.Conn
}

func popLogin(t testing.TB, addr, account string) *popClient {
	t.Helper()
	text, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &popClient{t: t, text: text}
	c.line()
	c.cmd("USER %s", account)
	c.cmd("PASS ketchup")
	return c
}

// Close drops the connection.
func (c *popClient) Close() { c.text.Close() }

func (c *popClient) line() string {
	c.t.Helper()
	line, err := c.text.ReadLine()
	if err != nil {
		c.t.Fatalf("POP3: %v", err)
	}
	if !strings.HasPrefix(line, "+OK") {
		c.t.Fatalf("POP3: %s", line)
	}
	return line
}

// cmd sends a command and returns its first line, which must be +OK.
func (c *popClient) cmd(format string, args ...any) string {
	c.t.Helper()
	if err := c.text.PrintfLine(format, args...); err != nil {
		c.t.Fatalf("POP3 %s: %v", fmt.Sprintf(format, args...), err)
	}
	return c.line()
}

// multiline reads up to the final dot, with CRLF ends.
func (c *popClient) multiline() []byte {
	c.t.Helper()
	lines, err := c.text.ReadDotLines()
	if err != nil {
		c.t.Fatalf("POP3: %v", err)
	}
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	return b.Bytes()
}
