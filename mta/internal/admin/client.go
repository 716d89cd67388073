package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = longTimeout // until an answer begins
)

// A Client talks to the server of one state folder. Make it with [Connect].
type Client struct {
	state string // the folder, for errors
	start string // how to start a server, for errors
	http  http.Client
}

// Connect returns the client of the server that has that state folder. Nothing
// is sent yet. start is the command that would start the server; errors name
// it.
func Connect(state, start string) *Client {
	path := filepath.Join(state, SocketName)
	c := &Client{state: state, start: start}
	c.http.Transport = &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return dialSocket(path, dialTimeout)
		},
		ResponseHeaderTimeout: answerTimeout,
	}
	return c
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A RefusedError is the server's no. Its text is the server's.
type RefusedError struct {
	Code int // of HTTP
	Text string
}

// Error implements error.
func (e *RefusedError) Error() string { return e.Text }

// Is makes 404 an [ErrNotFound].
func (e *RefusedError) Is(target error) bool {
	return target == ErrNotFound && e.Code == http.StatusNotFound
}

// About asks what runs.
func (c *Client) About(ctx context.Context) (about About, err error) {
	return about, c.get(ctx, "/v1/about", &about)
}

// Reload makes the server read its pipeline file again. A [RefusedError] has
// the findings, one a line; the server goes on with what it had.
func (c *Client) Reload(ctx context.Context) error {
	return c.post(ctx, "/v1/reload", struct{}{}, &struct{}{})
}

// Message asks for one queued message.
func (c *Client) Message(ctx context.Context, id mail.QueueID) (m Message, err error) {
	return m, c.get(ctx, "/v1/queue/"+url.PathEscape(string(id)), &m)
}

// Content writes a queued message's content to w.
func (c *Client) Content(ctx context.Context, id mail.QueueID, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/queue/"+url.PathEscape(string(id))+"/content", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// Messages yields the queued messages that f chooses, in the order of their
// IDs, and no more than limit unless that is zero. An error is the last it
// yields.
func (c *Client) Messages(ctx context.Context, f queue.Filter, limit int) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		question, err := json.Marshal(choice{f, limit})
		if err != nil {
			yield(Message{}, err)
			return
		}
		body, err := c.do(ctx, http.MethodPost, "/v1/queue/list", question)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer body.Close()
		for in := json.NewDecoder(body); ; {
			var line struct {
				problem
				Message
			}
			if err := in.Decode(&line); err == io.EOF {
				return
			} else if err != nil {
				yield(Message{}, fmt.Errorf("read the list: %w", err))
				return
			}
			if line.Error != "" {
				yield(Message{}, errors.New(line.Error))
				return
			}
			if !yield(line.Message, nil) {
				return
			}
		}
	}
}

// Retry makes the next attempt at the messages that f chooses due now, and
// releases those that are held.
func (c *Client) Retry(ctx context.Context, f queue.Filter) (Change, error) {
	return c.change(ctx, "/v1/queue/retry", f)
}

// Drop forgets the messages that f chooses, without telling anybody.
func (c *Client) Drop(ctx context.Context, f queue.Filter) (Change, error) {
	return c.change(ctx, "/v1/queue/drop", f)
}

// change sends f, in several requests if it names more messages than one can
// hold.
func (c *Client) change(ctx context.Context, path string, f queue.Filter) (Change, error) {
	sum := Change{Failed: map[mail.QueueID]string{}}
	ids := f.IDs
	for {
		f.IDs = ids[:min(len(ids), maxIDs)]
		ids = ids[len(f.IDs):]
		var part Change
		if err := c.post(ctx, path, choice{Filter: f}, &part); err != nil {
			return sum, err
		}
		sum.Changed += part.Changed
		sum.Active += part.Active
		maps.Copy(sum.Failed, part.Failed)
		if len(ids) == 0 {
			return sum, nil
		}
	}
}

func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.exchange(ctx, http.MethodGet, path, nil, answer)
}

func (c *Client) post(ctx context.Context, path string, question, answer any) error {
	b, err := json.Marshal(question)
	if err != nil {
		return err
	}
	return c.exchange(ctx, http.MethodPost, path, b, answer)
}

func (c *Client) exchange(ctx context.Context, method, path string, question []byte, answer any) error {
	body, err := c.do(ctx, method, path, question)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// do returns the body of an answer of 200; the caller closes it.
func (c *Client) do(ctx context.Context, method, path string, question []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://mta"+path, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	refused := &RefusedError{Code: answer.StatusCode, Text: answer.Status}
	var p problem
	if json.NewDecoder(io.LimitReader(answer.Body, maxBody)).Decode(&p) == nil && p.Error != "" {
		refused.Text = p.Error
	}
	return nil, refused
}

// explain says what an error of the connection means to an operator.
func (c *Client) explain(err error) error {
	path := filepath.Join(c.state, SocketName)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server is running on state %s (%s): start it with `%s`", c.state, path, c.start)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s belongs to another user: run this as the user of the server, or as root", path)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("talk to the server on %s: %w", path, err)
}
