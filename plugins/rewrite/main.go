// Rewrite is a plugin that puts a footer under the text of messages, marks
// their subject, and takes attachments away. See README.md.
package main

import (
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

func init() {
	var r *rewriter
	mta.OnLoad(func() (err error) {
		r, err = load()
		return err
	})
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		if err := r.rewrite(m); err != nil {
			return mta.Fail(err)
		}
		return mta.Continue
	})
}

func main() {}

// A rewriter is the configuration, ready for messages. The tree is used again
// for each: a guest has one thread.
type rewriter struct {
	rules   []rule
	footer  footer
	subject string
	mark    string
	maxBody int64
	tree    tree
}

// A report is what was done to one message, for the header field.
type report struct {
	left        string // why nothing was done: "signed"
	attachments int
	footers     int
	subject     bool
}

func (r *rewriter) rewrite(m *mta.Message) error {
	var done report
	if err := r.work(m, &done); err != nil {
		return err
	}
	if r.mark == "" {
		return nil
	}
	return m.Header().Set(r.mark, done.String())
}

func (r *rewriter) work(m *mta.Message, done *report) (err error) {
	if len(r.rules) == 0 && r.footer.empty() && r.subject == "" {
		return nil
	}
	if done.left, err = r.tree.read(m, r.maxBody); done.left != "" || err != nil {
		return err
	}
	if done.attachments, err = r.attachments(); err != nil {
		return err
	}
	if done.footers, err = r.footers(); err != nil {
		return err
	}
	if r.subject != "" {
		done.subject, err = prefixSubject(m.Header(), r.subject)
	}
	return err
}

// String is what the header field says.
func (d *report) String() string {
	if d.left != "" {
		return "no; " + d.left
	}
	var words []string
	if d.attachments > 0 {
		words = append(words, "attachments="+strconv.Itoa(d.attachments))
	}
	if d.footers > 0 {
		words = append(words, "footer")
	}
	if d.subject {
		words = append(words, "subject")
	}
	if len(words) == 0 {
		return "no"
	}
	return strings.Join(words, ", ")
}
