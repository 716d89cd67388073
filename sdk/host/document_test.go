package host_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/abidoc"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// The document is the specification of the ABI. It is held against the table
// of functions, and its examples against the host.
const document = "../ABI.md"

func readDocument(t *testing.T) (string, *abidoc.Document) {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	d, err := abidoc.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return string(b), d
}

// declaration is how the document has to declare a function.
func declaration(f abi.Function) string {
	var params []string
	for _, p := range f.Params {
		switch p.Kind {
		case abi.In:
			params = append(params, p.Name+" i32", p.Name+"_len i32")
		case abi.Out:
			params = append(params, p.Name+" i32", p.Name+"_cap i32")
		default:
			params = append(params, p.Name+" "+kindName(p.Kind))
		}
	}
	s := f.Name + "(" + strings.Join(params, ", ") + ")"
	if f.Result != abi.None {
		s += " -> " + kindName(f.Result)
	}
	return s + "\ngrant: " + f.Grant.String() + "\nhooks: " + hooksText(f.Hooks) + "\n"
}

func kindName(k abi.Kind) string {
	switch k {
	case abi.I64:
		return "i64"
	case abi.F64:
		return "f64"
	}
	return "i32" // pointers too
}

// hooksText are the hooks of a set in words, those that are missing if these
// are fewer.
func hooksText(s abi.HookSet) string {
	all := abi.SetOf(abi.Hooks[:]...)
	if s == all {
		return "all"
	}
	if missing := (all &^ s).Hooks(); len(missing) < 3 {
		return "all but " + strings.Join(missing, ", ")
	}
	return strings.Join(s.Hooks(), ", ")
}

func TestDocumentHasEveryFunction(t *testing.T) {
	_, d := readDocument(t)
	var names, want []string
	for _, f := range d.Functions {
		names = append(names, f.Name)
	}
	for _, f := range abi.Functions {
		want = append(want, f.Name)
	}
	if !slices.Equal(names, want) {
		t.Fatalf("the functions are\n%q\nthe table has\n%q", names, want)
	}
	for i, f := range abi.Functions {
		if got, want := d.Functions[i].Declared, declaration(f); got != want {
			t.Errorf("%s is declared\n%swant\n%s", f.Name, got, want)
		}
		if ex := d.Functions[i].Examples; len(ex) == 0 || !strings.Contains(ex[0].Text, f.Name+"(") {
			t.Errorf("%s has no example", f.Name)
		}
	}
}

// TestDocumentExamples runs the examples against this package; those of the
// server run in WebAssembly too.
func TestDocumentExamples(t *testing.T) {
	_, d := readDocument(t)
	for _, f := range d.Functions {
		t.Run(f.Name, func(t *testing.T) {
			for _, e := range f.Examples {
				r := newRun(d.World, e)
				if err := r.steps(e); err != nil {
					t.Errorf("%v\nin\n%s", err, e.Text)
				}
			}
		})
	}
}

// A run is one example at work.
type run struct {
	guest
	services testcase.Services
	result   testcase.Result
}

func newRun(c testcase.Case, e abidoc.Example) *run {
	r := &run{services: c.Services()}
	config, _ := testcase.ToJSON(c.Config) // what is no YAML has no tag
	in := host.Input{
		Hook: e.Hook, Grants: e.Grants, Config: config, Context: c.Context,
		Sender: c.Sender(), Recipients: c.Recipients(), Deadline: c.Now.Add(500 * time.Millisecond),
		SessionNotes: c.SessionNotes, Notes: c.Notes, QueuedNotes: c.QueuedNotes,
		Now: r.services.Clock, Random: bytes.NewReader(make([]byte, 100)), Log: r.result.Logged, Level: abi.LevelInfo,
		KV: r.services.KV, Resolver: r.services.DNS, Metrics: r.services.Metrics,
		Open: func() (host.Message, error) { return parse(string(c.Message)), nil },
	}
	in.Context.Plugin = "test"
	r.call = host.New(in)
	return r
}

func (r *run) steps(e abidoc.Example) error {
	for _, s := range e.Steps {
		if err := r.step(s); err != nil {
			return fmt.Errorf("%s: %w", s.Line, err)
		}
	}
	lines := strings.Split(r.result.Text(), "\n")
	for _, want := range e.Result {
		if !slices.Contains(lines, want) {
			return fmt.Errorf("no line %q in\n%s", want, r.result.Text())
		}
	}
	return nil
}

func (r *run) step(s abidoc.Step) error {
	switch {
	case s.Put != nil:
		copy(r.memory[s.Put.At:], s.Put.Bytes)
	case s.Look != nil:
		if got := r.view(s.Look.At, int64(len(s.Look.Bytes))); !bytes.Equal(got, s.Look.Bytes) {
			return fmt.Errorf("the memory has %q", got)
		}
	case s.Call != nil:
		got, err := r.do(s.Call.Function, s.Call.Args)
		if err != nil || got != s.Call.Result {
			return fmt.Errorf("is %d, %v", got, err)
		}
	case s.Return != nil:
		answer, err := r.call.Answer(*s.Return)
		if err != nil {
			return err
		}
		r.result.Verdict, r.result.Reply, r.result.Reason = answer.Verdict.String(), answer.Reply, answer.Reason
		r.result.Take(r.call.Commit())
		r.result.KV, r.result.Metrics = r.services.KV.Values(), r.services.Metrics.Lines()
	}
	return nil
}

// rows are the rows of the tables in the document whose first cell is code.
func rows(doc string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(doc) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		first := strings.TrimSpace(cells[0])
		if len(cells) < 2 || !strings.HasPrefix(line, "| `") || strings.Count(first, "`") != 2 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		found[strings.Trim(first, "`")] = cells[1:]
	}
	return found
}

// TestDocumentTables holds the document's tables against what the host does.
func TestDocumentTables(t *testing.T) {
	doc, _ := readDocument(t)
	have := rows(doc)
	need := func(what, key string, want ...string) {
		t.Helper()
		cells, ok := have[key]
		if !ok {
			t.Errorf("%s %s has no row", what, key)
			return
		}
		for i, w := range want {
			if i >= len(cells) || cells[i] != w {
				t.Errorf("%s %s: the row is %q, want %q", what, key, cells, want)
				return
			}
		}
	}
	limits := reflect.ValueOf(host.DefaultLimits)
	for i := range limits.NumField() {
		need("limit", limits.Type().Field(i).Name, strconv.FormatInt(limits.Field(i).Int(), 10))
	}
	for _, g := range abi.AllGrants.Words() {
		need("grant", g)
	}
	for _, hook := range abi.Hooks {
		var verdicts []string
		for v := range abi.LastVerdict + 1 {
			if v.In(hook) && v != abi.Continue && v != abi.Accept && v != abi.NotAgain {
				verdicts = append(verdicts, v.String())
			}
		}
		if hook != abi.HookLoad {
			need("hook", hook, cmp.Or(strings.Join(verdicts, ", "), "–"))
		}
	}
	for n := range 11 {
		need("error", strconv.Itoa(-n), abi.Errno(-n).Error())
	}
	for _, key := range host.ContextKeys() {
		need("context key", key)
	}
	for _, name := range host.Operations() {
		need("operation", name)
	}
}
