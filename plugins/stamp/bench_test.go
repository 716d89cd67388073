package main

import (
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

func BenchmarkStamp(b *testing.B) {
	mtatest.Benchmark(b, mtatest.Case{Config: `
remove: [X-Mailer]
prefix: {Subject: "[EXT] "}
add: {X-Processed-By: "${hostname}", X-Trace: "${queue_id} ${client} ${date}"}`})
}

// FuzzFill holds that whatever a message says of itself fills a value with one
// line of text.
func FuzzFill(f *testing.F) {
	for _, s := range []string{"Hello", "=?utf-8?q?=0D=0AX-Evil=3A_1?=", "\xff\xfe", "a\r\n\tb", strings.Repeat("x", 5000), "\x00", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		r := mtatest.Run(t, mtatest.Case{
			Config:  `{add: {X-Was: "<${header.Subject}>"}, set: {X-Set: "${header.Subject}"}, prefix: {Subject: "[EXT] "}}`,
			Message: []byte("Subject: " + subject + "\r\n\r\nHello\r\n"),
		})
		if r.Verdict != "continue" {
			t.Fatalf("%q: %s", subject, r.Text())
		}
	})
}
