package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// list asks a node for the messages of the queue.
func list(n *Node) (messages []queuedMessage, err error) {
	out, err := n.command("queue", "list", "--json")
	if err != nil {
		return nil, err
	}
	lines := json.NewDecoder(bytes.NewReader(out))
	for {
		var m queuedMessage
		switch err := lines.Decode(&m); {
		case err == io.EOF:
			return messages, nil
		case err != nil:
			return nil, fmt.Errorf("mta queue list --json: %w", err)
		}
		messages = append(messages, m)
	}
}

// stored asks the nodes whose mail is in their queues. Messages that are done
// with meanwhile are not.
func stored(nodes []*Node) (q queued, err error) {
	q = queued{rcpts: map[target]bool{}, dsns: map[target]bool{}}
	for _, n := range nodes {
		messages, err := list(n)
		if err != nil {
			return q, err
		}
		for _, m := range messages {
			if content, err := n.command("queue", "cat", m.ID); err == nil {
				q.add(m, content)
			}
		}
	}
	return q, nil
}

func (q *queued) add(m queuedMessage, content []byte) {
	if notice, ok := readNotice(content); ok {
		for _, rcpt := range notice.failed {
			q.dsns[target{notice.token, rcpt}] = true
		}
		return
	}
	token, _, _ := original(content)
	for _, rcpt := range m.Recipients {
		q.rcpts[target{token, rcpt.address()}] = m.Held != ""
	}
}

// waiting is how many recipients are in the queue and not held.
func (q *queued) waiting() int {
	n := len(q.dsns)
	for _, held := range q.rcpts {
		if !held {
			n++
		}
	}
	return n
}

// A queuedMessage is one line of `mta queue list --json`.
type queuedMessage struct {
	ID         string            `json:"queue_id"`
	Held       string            `json:"held"`
	Recipients []queuedRecipient `json:"recipients"`
}

// A queuedRecipient has its path under the name that postqueue -j uses, or ours.
type queuedRecipient struct {
	Address string `json:"address"`
	Path    string `json:"path"`
}

func (r queuedRecipient) address() string {
	if r.Address != "" {
		return r.Address
	}
	return r.Path
}

// lookIntoMailboxes enters in the ledger what is new in the Maildirs of a node.
func (r *Run) lookIntoMailboxes(n *Node) error {
	for _, account := range mailboxes {
		for _, sub := range []string{"new", "cur"} {
			files, err := filepath.Glob(filepath.Join(n.State, "mail", account, sub, "*"))
			if err != nil {
				return err
			}
			for _, file := range files {
				if r.looked[file] {
					continue
				}
				content, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				info, err := os.Stat(file)
				if err != nil {
					return err
				}
				r.looked[file] = true
				at := info.ModTime()
				r.Ledger.arrived(arrival{node: n.Name, begin: at, end: at, seen: true, mailbox: true}, []string{account}, content)
			}
		}
	}
	return nil
}
