package host_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/mimetree"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// The document is the specification of the ABI. It is held against the table
// of functions, and its examples against the host.
const document = "../ABI.md"

// A section is what the document says of one function.
type section struct {
	name     string
	declared string   // the block that begins it
	examples []string // the blocks that run
}

func readDocument(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sections are those of functions: under a heading that is a name alone.
func sections(doc string) []section {
	var all []section
	for part := range strings.SplitSeq(doc, "\n### ") {
		title, body, _ := strings.Cut(part, "\n")
		name := strings.Trim(title, "`")
		if title != "`"+name+"`" {
			continue
		}
		body, _, _ = strings.Cut(body, "\n## ")
		s := section{name: name, examples: testcase.Blocks(body, "example")}
		if blocks := testcase.Blocks(body, "abi"); len(blocks) == 1 {
			s.declared = blocks[0]
		}
		all = append(all, s)
	}
	return all
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
	found := sections(readDocument(t))
	var names, want []string
	for _, s := range found {
		names = append(names, s.name)
	}
	for _, f := range abi.Functions {
		want = append(want, f.Name)
	}
	if !slices.Equal(names, want) {
		t.Fatalf("the functions are\n%q\nthe table has\n%q", names, want)
	}
	for i, f := range abi.Functions {
		if got, want := found[i].declared, declaration(f); got != want {
			t.Errorf("%s is declared\n%swant\n%s", f.Name, got, want)
		}
		if len(found[i].examples) == 0 || !strings.Contains(found[i].examples[0], f.Name+"(") {
			t.Errorf("%s has no example", f.Name)
		}
	}
}

// TestDocumentExamples runs the examples in the document's own world.
func TestDocumentExamples(t *testing.T) {
	doc := readDocument(t)
	world, err := testcase.Parse([]byte(testcase.Blocks(doc, "txtar")[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections(doc) {
		t.Run(s.name, func(t *testing.T) {
			for _, text := range s.examples {
				e := newExample(world, text)
				if err := e.run(text); err != nil {
					t.Errorf("%v\nin\n%s", err, text)
				}
			}
		})
	}
}

// An example is one hook call in the world of the document.
type example struct {
	guest
	c        testcase.Case
	services testcase.Services
	result   testcase.Result
}

func newExample(world testcase.Case, text string) *example {
	e := &example{c: world}
	in := host.Input{Grants: abi.AllGrants, Hook: e.c.Hook}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "hook":
			in.Hook = rest
		case "grant":
			in.Grants, _ = abi.ParseGrants(strings.Fields(rest)...)
		}
	}
	e.services = e.c.Services()
	config, _ := testcase.ToJSON(e.c.Config)
	in.Config, in.Context, in.Sender, in.Recipients = config, e.c.Context, e.c.Sender(), e.c.Recipients()
	in.Context.Plugin = "example"
	in.SessionNotes, in.Notes, in.QueuedNotes = e.c.SessionNotes, e.c.Notes, e.c.QueuedNotes
	in.Deadline = e.c.Now.Add(500e6)
	in.Now, in.Random = e.services.Clock, bytes.NewReader(bytes.Repeat([]byte{0xab}, 100))
	in.Log, in.Level = e.result.Logged, abi.LevelInfo
	in.KV, in.Resolver, in.Metrics = e.services.KV, e.services.DNS, e.services.Metrics
	in.Open = func() (host.Message, error) {
		return host.Tree(mimetree.Parse(bytes.NewReader(e.c.Message), mimetree.Limits{})), nil
	}
	e.call = host.New(in)
	return e
}

// run takes an example's lines one after the other.
func (e *example) run(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := e.step(line); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

func (e *example) step(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "hook", "grant":
		return nil
	case "in", "out":
		return e.octets(word, rest)
	case "return":
		return e.end(rest)
	case ">":
		for got := range strings.Lines(e.result.Text()) {
			if strings.TrimSpace(got) == rest {
				return nil
			}
		}
		return fmt.Errorf("it has\n%s", e.result.Text())
	}
	return e.function(line)
}

// octets puts octets into the memory, or looks for them there.
func (e *example) octets(word, rest string) error {
	place, quoted, _ := strings.Cut(rest, " ")
	at, err := number(place)
	if err != nil {
		return err
	}
	s, err := strconv.Unquote(strings.TrimSpace(quoted))
	if err != nil {
		return err
	}
	view := e.view(at, int64(len(s)))
	if word == "in" {
		copy(view, s)
	} else if string(view) != s {
		return fmt.Errorf("the memory has %q", view)
	}
	return nil
}

var callLine = regexp.MustCompile(`^(\w+)\(([^)]*)\)(?: = (-?\w+))?(?: +#.*)?$`)

func (e *example) function(line string) error {
	m := callLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("no line of an example")
	}
	f, ok := abi.Lookup(m[1])
	if !ok {
		return fmt.Errorf("no function")
	}
	var args []int64
	for s := range strings.SplitSeq(m[2], ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		n, err := number(s)
		if err != nil {
			return err
		}
		args = append(args, n)
	}
	got, err := e.do(f, args)
	switch {
	case err != nil:
		return err
	case (f.Result == abi.None) != (m[3] == ""):
		return fmt.Errorf("has a result or has none")
	case f.Result != abi.None && strconv.FormatInt(got, 10) != m[3]:
		return fmt.Errorf("is %d", got)
	}
	return nil
}

// end returns from the hook.
func (e *example) end(rest string) error {
	n, err := strconv.Atoi(rest)
	if err != nil {
		return err
	}
	answer, err := e.call.Answer(int32(n))
	if err != nil {
		return err
	}
	e.result.Verdict, e.result.Reply, e.result.Reason = answer.Verdict.String(), answer.Reply, answer.Reason
	e.result.Take(e.call.Commit())
	e.result.KV, e.result.Metrics = e.services.KV.Values(), e.services.Metrics.Lines()
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
	doc := readDocument(t)
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
