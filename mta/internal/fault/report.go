package fault

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// maxShown is how many violations of one run are printed in full.
const maxShown = 10

// Table prints results as a table in Markdown, and below it what must not be.
func Table(w io.Writer, results []*Result) {
	fmt.Fprintln(w, "| what was done | store | times | answered 250 | recipients | delivered | relayed | bounced | held | queued | no answer, kept | twice: reply unseen | twice: died | twice: under way | found |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")
	for _, r := range results {
		fmt.Fprintln(w, r.row())
	}
	fmt.Fprintln(w)
	broken(w, results)
	violations(w, results)
}

// broken prints what the calls were for at which a disk broke.
func broken(w io.Writer, results []*Result) {
	if calls := allCalls(results); len(calls) > 0 {
		calls.table(w)
		fmt.Fprintln(w)
	}
}

func allCalls(results []*Result) Calls {
	all := Calls{}
	for _, r := range results {
		all.add(r.Calls)
	}
	return all
}

// List prints what must not be, and whether that is anything.
func List(w io.Writer, results []*Result) {
	accepted, recipients, bad := 0, 0, 0
	for _, r := range results {
		accepted, recipients = accepted+r.Accepted, recipients+r.Recipients
		if !r.Passed() {
			bad++
		}
	}
	broken(w, results)
	violations(w, results)
	fmt.Fprintf(w, "%d runs, %d messages answered 250 (%d recipients): in %d of the runs something was found\n", len(results), accepted, recipients, bad)
}

// violations prints those of each run, in full as far as there are few.
func violations(w io.Writer, results []*Result) {
	for _, r := range results {
		for i, v := range r.Violations {
			if i == maxShown {
				fmt.Fprintf(w, "… and %d more; --json has all.\n", len(r.Violations)-i)
				break
			}
			fmt.Fprintf(w, "%s, %s, seed %d: %s\n", r.Scenario, r.Store, r.Seed, v)
		}
	}
}

func (r *Result) row() string {
	if r.Skipped != "" {
		return fmt.Sprintf("| %s: %s | %s | | | | | | | | | | | | | not played: %s |", r.Scenario, r.What, r.Store, r.Skipped)
	}
	return fmt.Sprintf("| %s: %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d of %d | %d | %d | %d | %s |",
		r.Scenario, r.What, r.Store, r.Times, r.Accepted, r.Recipients, r.Delivered, r.Relayed, r.Bounced, r.Held, r.Queued,
		r.Kept, r.Unanswered, r.Doubled.Unseen, r.Doubled.Died, r.Doubled.Open, r.found())
}

// found says the worst first: how many violations there are of each kind.
func (r *Result) found() string {
	if r.Passed() {
		return "nothing"
	}
	var kinds []string
	count := map[string]int{}
	for _, v := range r.Violations {
		kind, _, _ := strings.Cut(v, ":")
		if count[kind]++; count[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("**%s: %d**", kind, count[kind])
	}
	return strings.Join(kinds, ", ")
}

// Summary is one line for whoever watches.
func (r *Result) Summary() string {
	if r.Skipped != "" {
		return fmt.Sprintf("%-14s %-6s not played: %s", r.Scenario, r.Store, r.Skipped)
	}
	s := fmt.Sprintf("%-14s %-6s seed %d: %d times, %d answered 250 (%d recipients), %d without an answer, doubled %d unseen + %d died + %d under way, in %v; found: %s",
		r.Scenario, r.Store, r.Seed, r.Times, r.Accepted, r.Recipients, r.Unanswered, r.Doubled.Unseen, r.Doubled.Died, r.Doubled.Open,
		r.Took.Round(time.Second), r.found())
	if r.Doubted > 0 {
		s += fmt.Sprintf("; %d refused by a broken disk and kept", r.Doubted)
	}
	if r.LongestGap != "" {
		s += "; longest gap " + r.LongestGap
	}
	if r.Slowest != "" {
		s += "; slowest " + r.Slowest
	}
	return s + fmt.Sprintf("; %d MiB, %d files", r.Peak>>20, r.Files)
}
