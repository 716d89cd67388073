// A plugin that has its say behind the queue, and remembers who has been here.
package main

import (
	"strings"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
	"github.com/wasmta/wasmta/sdk/go/ondelivery"
	"github.com/wasmta/wasmta/sdk/go/ondsn"
	"github.com/wasmta/wasmta/sdk/go/onlocal"
	"github.com/wasmta/wasmta/sdk/go/onrcpt"
	"github.com/wasmta/wasmta/sdk/go/onroute"
)

func init() {
	onrcpt.Do(greylist)
	mta.OnMessage(review)
	onroute.Do(route)
	onlocal.Do(file)
	ondelivery.Do(learn)
	ondsn.Do(help)
}

// greylist refuses each recipient the first time that a client names it.
func greylist(t *mta.Transaction, rcpt mta.Recipient) mta.Verdict {
	first, err := mta.KV.Swap(t.ClientAddr().String()+" "+rcpt.Address(), nil, []byte("seen"), time.Hour)
	if err != nil {
		return mta.Fail(err)
	}
	if first {
		mta.Count("greylisted", 1)
		return mta.Defer(450, "4.7.1", "Come back later")
	}
	return mta.Continue
}

// review is asked once the message is safe.
func review(m *mta.Message) mta.Verdict {
	records, err := mta.Lookup(mta.TypeTXT, "policy.example.com")
	if err != nil {
		return mta.Fail(err)
	}
	if err := m.Header().AddTop("X-Reviewed", strings.Join(records, "|")); err != nil {
		return mta.Fail(err)
	}
	if err := m.SetQueuedNote("reviewed", "yes"); err != nil {
		return mta.Fail(err)
	}
	mta.Observe("recipients", float64(len(m.Recipients())))
	return mta.Continue
}

// route refuses one that the queue was given.
func route(m *mta.Message) mta.Verdict {
	for _, rcpt := range m.Recipients() {
		if strings.HasPrefix(rcpt.Address(), "stopped@") {
			if err := rcpt.Refuse(550, "5.7.1", "Stopped on the way"); err != nil {
				return mta.Fail(err)
			}
		}
	}
	return mta.Continue
}

// file names a folder for those that have a mailbox.
func file(m *mta.Message) mta.Verdict {
	note, _ := m.QueuedNote("reviewed")
	for _, rcpt := range m.Recipients() {
		if note != "yes" || rcpt.Resolved() != "bob@hamburger.edu" {
			continue
		}
		if err := rcpt.Deliver(mta.Mailbox{Folder: "Filed"}); err != nil {
			return mta.Fail(err)
		}
	}
	return mta.Continue
}

// learn says what came of each recipient, and has what is deferred tried again
// soon.
func learn(m *mta.Message) mta.Verdict {
	for _, rcpt := range m.Recipients() {
		mta.Info("learned", "rcpt", rcpt.Address(), "status", rcpt.Status(), "reply", rcpt.LastReply())
		if rcpt.Status() != "deferred" {
			continue
		}
		if err := rcpt.RetryAt(time.Now().Add(time.Second)); err != nil {
			return mta.Fail(err)
		}
	}
	return mta.Continue
}

// help adds a field to DSNs.
func help(m *mta.Message) mta.Verdict {
	if err := m.Header().AddTop("X-Help", "https://hamburger.edu/bounces"); err != nil {
		return mta.Fail(err)
	}
	return mta.Continue
}

func main() {}
