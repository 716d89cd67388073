package admin

import (
	"bytes"
	"cmp"
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
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = actionTimeout + time.Minute // until an answer begins
)

// A Client talks to a server. Make it with [Connect] or [Remote].
type Client struct {
	state string // the folder, for errors; empty: the server is elsewhere
	start string // how to start a server, for errors
	base  string // what paths come after
	token string // empty: the socket's file decides
	http  http.Client
}

// Connect returns the client of the server that has that state folder. Nothing
// is sent yet. start is the command that would start the server; errors name
// it.
func Connect(state, start string) *Client {
	path := filepath.Join(state, SocketName)
	c := &Client{state: state, start: start, base: "http://mta"}
	c.http.Transport = &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return dialSocket(path, dialTimeout)
		},
		ResponseHeaderTimeout: answerTimeout,
	}
	return c
}

// Remote returns the client of a server elsewhere, by the URL of one of its http
// listeners, with a token of its admin.tokens. Nothing is sent yet. Over http://
// a token goes to this machine alone.
func Remote(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%q is no server; write https://host:port", server)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("a token would go to %s in plain text; write https://", u.Host)
	}
	c := &Client{base: u.Scheme + "://" + u.Host, token: token}
	c.http.Transport = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // it would take the token along
	return c, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
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
	return c.exchange(ctx, http.MethodPost, "/v1/reload", nil, &Nothing{})
}

// Message asks for one queued message.
func (c *Client) Message(ctx context.Context, id mail.QueueID) (m Message, err error) {
	return m, c.get(ctx, "/v1/queue/messages/"+url.PathEscape(string(id)), &m)
}

// Content writes a queued message's content to w.
func (c *Client) Content(ctx context.Context, id mail.QueueID, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/queue/messages/"+url.PathEscape(string(id))+"/content", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// Messages yields the queued messages that f chooses, in the order of their
// IDs, and no more than limit unless that is zero. An error is the last it
// yields; a [LacksError] says that those before are not all.
func (c *Client) Messages(ctx context.Context, f queue.Filter, limit int) iter.Seq2[Message, error] {
	q := parameters(newFilter(f))
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return lines[Message](ctx, c, "/v1/queue/messages", q)
}

// Stats asks what the messages that f chooses have in common.
func (c *Client) Stats(ctx context.Context, f queue.Filter, by queue.Grouping, limit int) (st Stats, err error) {
	q := parameters(newFilter(f))
	q.Set("by", string(by))
	q.Set("limit", strconv.Itoa(limit))
	return st, c.get(ctx, "/v1/queue/stats?"+q.Encode(), &st)
}

// Lanes asks how the next hops stand.
func (c *Client) Lanes(ctx context.Context) (l Lanes, err error) {
	return l, c.get(ctx, "/v1/queue/lanes", &l)
}

// Operate has an order carried out; who gives it is the server's to know. It
// sends several requests if more messages are named than one can hold.
func (c *Client) Operate(ctx context.Context, o queue.Order) (Change, error) {
	sum := Change{Failed: map[mail.QueueID]string{}}
	ids := o.Filter.IDs
	for {
		o.Filter.IDs = ids[:min(len(ids), maxIDs)]
		ids = ids[len(o.Filter.IDs):]
		var part Change
		if err := c.exchange(ctx, http.MethodPost, "/v1/queue/"+string(o.Do), orderBody(o), &part); err != nil {
			return sum, err
		}
		sum.Changed += part.Changed
		sum.Active += part.Active
		sum.Refused += part.Refused
		sum.Lacks = cmp.Or(sum.Lacks, part.Lacks)
		maps.Copy(sum.Failed, part.Failed)
		if len(ids) == 0 {
			return sum, nil
		}
	}
}

// orderBody is the body of the request for an order.
func orderBody(o queue.Order) any {
	c := Choice{Filter: newFilter(o.Filter), All: o.Filter.IsZero()}
	switch o.Do {
	case queue.Hold, queue.Bounce:
		return ReasonedChoice{c, o.Reason}
	case queue.Reroute:
		if o.NextHop == nil {
			return Reroute{c, ByRoutes}
		}
		return Reroute{c, o.NextHop.String()}
	}
	return c
}

// Rules asks for the hold rules.
func (c *Client) Rules(ctx context.Context) (r Rules, err error) {
	return r, c.get(ctx, "/v1/queue/rules", &r)
}

// AddRule makes a hold rule.
func (c *Client) AddRule(ctx context.Context, name string, n NewRule) (r Rule, err error) {
	return r, c.exchange(ctx, http.MethodPut, "/v1/queue/rules/"+url.PathEscape(name), n, &r)
}

// RemoveRule takes a hold rule back.
func (c *Client) RemoveRule(ctx context.Context, name string) (r Rule, err error) {
	return r, c.exchange(ctx, http.MethodDelete, "/v1/queue/rules/"+url.PathEscape(name), nil, &r)
}

// Suppressions yields the addresses that nothing goes to any more, as Messages
// does messages.
func (c *Client) Suppressions(ctx context.Context) iter.Seq2[Suppression, error] {
	return lines[Suppression](ctx, c, "/v1/queue/suppressions", nil)
}

// Suppress lets nothing go to an address or a domain any more.
func (c *Client) Suppress(ctx context.Context, address string, n NewSuppression) (s Suppression, err error) {
	return s, c.exchange(ctx, http.MethodPut, "/v1/queue/suppressions/"+url.PathEscape(address), n, &s)
}

// Allow takes that back.
func (c *Client) Allow(ctx context.Context, address string) (s Suppression, err error) {
	return s, c.exchange(ctx, http.MethodDelete, "/v1/queue/suppressions/"+url.PathEscape(address), nil, &s)
}

// parameters are the fields of a filter as a query.
func parameters(f Filter) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"from": f.From, "to": f.To, "domain": f.Domain, "state": string(f.State), "lane": f.Lane, "reason": f.Reason,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if !f.Before.IsZero() {
		q.Set("before", f.Before.Format(time.RFC3339Nano))
	}
	if f.Larger != 0 {
		q.Set("larger", strconv.FormatInt(f.Larger, 10))
	}
	for _, id := range f.IDs {
		q.Add("ids", string(id))
	}
	return q
}

// A LacksError says which part of the queue a server could not ask.
type LacksError struct{ Part string }

// Error implements error.
func (e *LacksError) Error() string { return "not in this list: " + e.Part }

// lines yields the values of an answer that has one a line.
func lines[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		body, err := c.do(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer body.Close()
		in := json.NewDecoder(body)
		for {
			var raw json.RawMessage
			var broken StreamError
			var note StreamNote
			var value T
			err := in.Decode(&raw)
			if err == io.EOF {
				return
			}
			if err == nil {
				err = errors.Join(json.Unmarshal(raw, &broken), json.Unmarshal(raw, &note), json.Unmarshal(raw, &value))
			}
			switch {
			case err != nil:
				yield(none, fmt.Errorf("read the list: %w", err))
				return
			case broken.Error != "":
				yield(none, errors.New(broken.Error))
				return
			case note.Lacks != "":
				yield(none, &LacksError{note.Lacks})
				return
			case !yield(value, nil):
				return
			}
		}
	}
}

func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.exchange(ctx, http.MethodGet, path, nil, answer)
}

func (c *Client) exchange(ctx context.Context, method, path string, question, answer any) error {
	var b []byte
	if question != nil {
		var err error
		if b, err = json.Marshal(question); err != nil {
			return err
		}
	}
	body, err := c.do(ctx, method, path, b)
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
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	if question != nil {
		req.Header.Set("Content-Type", mediaJSON)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
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
	var p Problem
	if json.NewDecoder(io.LimitReader(answer.Body, maxBody)).Decode(&p) == nil && p.Detail != "" {
		refused.Text = p.Detail
	}
	return nil, refused
}

// explain says what an error of the connection means to an operator.
func (c *Client) explain(err error) error {
	path := filepath.Join(c.state, SocketName)
	switch {
	case c.state == "":
		return fmt.Errorf("talk to the server: %w", err)
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
