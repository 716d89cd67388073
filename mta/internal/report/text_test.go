package report

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everything is a report with all that one can have.
func everything() *Report {
	used := Usage{Time: 312 * time.Microsecond, Fuel: 812344, Calls: 41, Memory: 5 << 20}
	r := &Report{
		Message: "crepe.eml", Size: 13612, From: "alice@crepes.fr", To: []string{"bob@hamburger.edu", "carol@hamburger.edu"},
		Client: "192.0.2.1", Helo: "crepes.fr", Assumed: map[string]string{"from": "its From", "client": "made up"},
		Verdict: "quarantine", Held: "smells of a lottery",
		Steps: []Step{
			{Stage: "greylist", Hook: "on_rcpt", About: "bob@hamburger.edu", Verdict: "defer", Reply: "451 4.7.1 Greylisted, come back later", Used: used},
			{Stage: "big", Hook: "on_message", Skipped: "its condition does not hold", Verdict: "continue"},
			{Stage: "stamp", Hook: "on_message", Verdict: "continue", Used: used, Log: []string{"info: stamped\x1b"}, Changes: &Changes{
				Envelope: []Line{{Removed, "to: bob@hamburger.edu"}, {Added, "to: bob@hamburger.edu deliver folder=Lists"}},
				Header:   []Line{{Kept, "Subject: crepe"}, {Added, "X-Processed-By: hamburger.edu"}},
				Tree:     []Line{{Kept, "multipart/mixed"}, {Changed, "  text/plain, 9 B, was text/plain, 5 B"}},
				Parts:    []Part{{Path: "1", Type: "text/plain", Text: []Line{{Kept, "Hi"}, {Gap, "12 lines"}, {Removed, "-- "}, {Added, ""}}, Note: "careful"}},
				Octets:   []Line{{Changed, "octets between the parts"}},
				Notes:    []Line{{Added, "note: seen=yes"}},
			}},
			{Stage: "away", Hook: "on_message", Verdict: "continue", Used: used,
				Parts: []Queued{{From: "alice@crepes.fr", To: []string{"carol@hamburger.edu"}, Changes: &Changes{Header: []Line{{Added, "X-For: carol"}}}}},
				Sent:  []Queued{{To: []string{"alice@crepes.fr"}, Subject: "Away", By: "away"}}},
			{Stage: "judge", Hook: "on_message", Verdict: "quarantine", Reason: "smells of a lottery", Used: used},
			{Stage: "broken", Hook: "on_message", Verdict: "defer", Error: "plugin broken: on_message: out of fuel", Reply: "451 4.3.0 Local error", Used: used},
			{Stage: "idle", Hook: "on_message", Verdict: "continue", Used: used},
			{Stage: "counter", Hook: "on_message", Verdict: "accept", Used: used, Counted: []string{"seen +1"}, Remembered: []Line{{Removed, "n=1"}, {Added, "n=2"}}},
		},
		Queued: []Queued{
			{From: "alice@crepes.fr", To: []string{"bob@hamburger.edu deliver folder=Lists"}, Where: []string{"mailbox"}, File: "out/crepe.eml"},
			{To: []string{"alice@crepes.fr"}, By: "away", Subject: "Away"},
		},
		Notes: []string{"carol@hamburger.edu was refused at RCPT: 550 5.1.1 Nobody"},
	}
	r.Sum()
	return r
}

func TestAReportReadsAsInItsFile(t *testing.T) {
	for file, style := range map[string]Style{
		"testdata/report.txt": {}, "testdata/report.narrow.txt": {Width: 60}, "testdata/report.color.txt": {Color: true, Width: 100},
	} {
		var b bytes.Buffer
		if err := everything().WriteText(&b, style); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestColourChangesNoWord(t *testing.T) {
	var plain, colour bytes.Buffer
	if err := everything().WriteText(&plain, Style{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if err := everything().WriteText(&colour, Style{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	var stripped strings.Builder
	for i, piece := range strings.Split(colour.String(), "\x1b[") {
		if i > 0 {
			_, piece, _ = strings.Cut(piece, "m")
		}
		stripped.WriteString(piece)
	}
	if diff := cmp.Diff(plain.String(), stripped.String()); diff != "" {
		t.Errorf("(-plain +colour):\n%s", diff)
	}
}

func TestAReportSurvivesJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, []*Report{everything()}); err != nil {
		t.Fatal(err)
	}
	var back []*Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*Report{everything()}, back); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
