package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// right runs the filter itself, and spoils what it is told to.
type right struct{ spoil func(*Outcome) }

func (r right) Run(_ context.Context, c Case) (Outcome, error) {
	out := Expect(c)
	out.Message = bytes.Clone(out.Message)
	r.spoil(&out)
	return out, nil
}

func (right) Close() error { return nil }

func check(t *testing.T, spoil func(*Outcome)) *Report {
	t.Helper()
	load := func(context.Context, json.RawMessage) (Runner, error) { return right{spoil}, nil }
	report, err := Check(t.Context(), load, Generate(200, 1))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestKitSees shows that the kit finds what it is there to find.
func TestKitSees(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Outcome)
		want  string // in what the kit says; empty: nothing to say
	}{
		"the filter itself": {func(*Outcome) {}, ""},
		"an octet more":     {func(o *Outcome) { o.Message = append(o.Message, ' ') }, "message differs at octet"},
		"an octet less":     {func(o *Outcome) { o.Message = o.Message[:max(len(o.Message)-1, 0)] }, "message differs at octet"},
		"no refusal":        {func(o *Outcome) { o.Refused = nil }, "reply to bob@example.org"},
		"a failure":         {func(o *Outcome) { o.Failed = !o.Failed }, "the hook failed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, tt.spoil)
			if r.Cases != 200*len(Configs()) {
				t.Errorf("%d cases, want %d", r.Cases, 200*len(Configs()))
			}
			if tt.want == "" {
				if len(r.Differences) > 0 {
					t.Errorf("got %+v, want nothing", r.Differences[0])
				}
				return
			}
			if len(r.Differences) == 0 || !strings.Contains(r.Differences[0].What, tt.want) {
				t.Errorf("got %+v, want %q", r.Differences, tt.want)
			}
		})
	}
}

// TestGenerated holds the generator to making what the filter works on: each
// step changes some messages, and none fails always.
func TestGenerated(t *testing.T) {
	messages := Generate(500, 7)
	if again := Generate(500, 7); !bytes.Equal(messages[499].Octets, again[499].Octets) {
		t.Error("the same seed made other messages")
	}
	for i, config := range Configs() {
		changed, failed := 0, 0
		for _, m := range messages {
			out := Expect(Case{Message: m.Octets, Recipients: recipients, Config: config})
			if out.Failed {
				failed++
			} else if !bytes.Equal(out.Message, m.Octets) || len(out.Refused) > 0 {
				changed++
			}
		}
		if i > 0 && changed < 20 || failed > 250 {
			t.Errorf("configuration %d: %d of 500 changed, %d failed", i, changed, failed)
		}
		t.Logf("configuration %d: %d changed, %d failed", i, changed, failed)
	}
}
