package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/offline"
	"github.com/wasmta/wasmta/mta/internal/report"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// test runs one test. A message that cannot be read is a finding.
func (o *Offline) test(ctx context.Context, i int) (report.Test, error) {
	t := &o.Config.Tests[i]
	at := config.Index("tests", i)
	place := o.Config.At(at)
	result := report.Test{Name: t.Name, Where: fmt.Sprintf("%s:%d", o.Config.File, place.Line)}
	octets, err := os.ReadFile(t.Message)
	if err != nil {
		return result, config.Findings{o.Config.Finding(config.Key(at, "message"), err.Error(), "name the file of a message")}
	}
	o.begin(t)
	began := time.Now()
	var outcome *offline.Outcome
	for n := range t.Repeat {
		if n > 0 {
			o.clock = o.clock.Add(t.Wait)
		}
		outcome, err = o.Run(ctx, offline.Message{
			Name: t.Message, Octets: octets, From: t.From, To: t.To, Client: t.Client, ClientName: t.ClientName,
			Helo: t.Helo, Account: t.Account, TLS: t.TLS,
		})
		if err != nil {
			return result, err
		}
	}
	result.Took = time.Since(began)
	result.Failures, err = expected(&t.Expect, outcome)
	return result, err
}

// expected holds what came of a message against what a test expects.
func expected(e *config.Expect, o *offline.Outcome) ([]report.Failure, error) {
	var failures []report.Failure
	check := func(what string, ok bool, want, got []string) {
		if !ok {
			failures = append(failures, report.NewFailure(what, want, got))
		}
	}
	is := func(what, want, got string) { check(what, want == "" || want == got, []string{want}, []string{got}) }
	has := func(what, want, got string) {
		lines := []string{got}
		if got == "" {
			lines = nil
		}
		check(what, strings.Contains(got, want), []string{"…" + want + "…"}, lines)
	}
	is("verdict", e.Verdict, o.Report.Verdict)
	has("reply", e.Reply, o.Report.Reply)
	has("held", e.Held, o.Report.Held)
	tx, sends := arrived(o)
	if e.To != nil {
		want, got := paths(e.To), recipientsLeft(tx)
		check("to", slices.Equal(want, got), want, got)
	}
	if e.Folder != "" {
		got := foldersOf(tx)
		check("folder", slices.Equal(got, []string{e.Folder}), []string{e.Folder}, got)
	}
	if e.Sends != nil {
		want := paths(e.Sends)
		check("sends", slices.Equal(want, sends), want, sends)
	}
	more, err := expectedContent(e, tx)
	return append(failures, more...), err
}

// arrived are the parts of the message that would be queued, and the recipients
// of what stages send.
func arrived(o *offline.Outcome) (tx []*mail.Transaction, sends []string) {
	for _, q := range o.Queued {
		if q.SentBy == "" {
			tx = append(tx, q)
			continue
		}
		for _, r := range q.Envelope.Recipients {
			sends = append(sends, r.Path.String())
		}
	}
	slices.Sort(sends)
	return tx, sends
}

func paths(all []mail.Path) []string {
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = p.String()
	}
	slices.Sort(out)
	return out
}

// recipientsLeft are those that the message would go to.
func recipientsLeft(parts []*mail.Transaction) (left []string) {
	for _, tx := range parts {
		for _, r := range tx.Envelope.Recipients {
			if r.Refused == nil {
				left = append(left, r.Path.String())
			}
		}
	}
	slices.Sort(left)
	return left
}

// foldersOf are the different folders that stages deliver to.
func foldersOf(parts []*mail.Transaction) (all []string) {
	for _, tx := range parts {
		for _, r := range tx.Envelope.Recipients {
			folder := "INBOX"
			if r.Deliver != nil && r.Deliver.Folder != "" {
				folder = r.Deliver.Folder
			}
			all = append(all, folder)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// expectedContent looks into the message; into the first part, if it was
// divided.
func expectedContent(e *config.Expect, parts []*mail.Transaction) (failures []report.Failure, err error) {
	if len(e.Header)+len(e.NoHeader)+len(e.Text) == 0 {
		return nil, nil
	}
	if len(parts) == 0 {
		return []report.Failure{{What: "there is no message to look into"}}, nil
	}
	octets, err := mail.ReadAll(parts[0].Content)
	if err != nil {
		return nil, err
	}
	tree := mimetree.Parse(bytes.NewReader(octets), mimetree.Limits{})
	for _, h := range e.Header {
		got, err := values(tree, h.Name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(got, h.Value) {
			failures = append(failures, report.NewFailure("header", []string{h.Name + ": " + h.Value}, named(h.Name, got)))
		}
	}
	for _, name := range e.NoHeader {
		got, err := values(tree, name)
		if err != nil {
			return nil, err
		}
		if len(got) > 0 {
			failures = append(failures, report.NewFailure("header", nil, named(name, got)))
		}
	}
	return expectedText(e, tree, failures)
}

func named(name string, values []string) []string {
	lines := make([]string, len(values))
	for i, v := range values {
		lines[i] = name + ": " + v
	}
	return lines
}

// values are those of all fields of that name, decoded.
func values(t *mimetree.Tree, name string) (all []string, err error) {
	for i := 0; ; i++ {
		if i, err = t.FindField(mimetree.Root, name, i); err == mimetree.ErrNotFound {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		value, err := t.FieldValue(mimetree.Root, i, mimetree.Decoded)
		if err != nil {
			return nil, err
		}
		all = append(all, strings.ReplaceAll(string(value), "\t", " "))
	}
}

func expectedText(e *config.Expect, t *mimetree.Tree, failures []report.Failure) ([]report.Failure, error) {
	if len(e.Text) == 0 {
		return failures, nil
	}
	var texts []string
	id, err := t.Find("text/*", mimetree.Root)
	for ; err == nil; id, err = t.After(id) {
		if id, err = t.Find("text/*", id); err != nil {
			break
		}
		r, err := t.OpenPart(id, mimetree.Text)
		if err != nil {
			continue // a text that cannot be read has none of what is expected
		}
		text, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		texts = append(texts, strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	if err != mimetree.ErrNotFound {
		return nil, err
	}
	all := strings.Join(texts, "\n")
	for _, want := range e.Text {
		if !strings.Contains(all, want) {
			failures = append(failures, report.NewFailure("text", strings.Split(want, "\n"), strings.Split(all, "\n")))
		}
	}
	return failures, nil
}
