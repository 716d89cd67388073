package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

func octetsOf(m host.Message) string {
	b := make([]byte, m.Size())
	n, _ := m.ReadAt(b, 0)
	return string(b[:n])
}

func addressesOf(rcpts []host.Recipient) string {
	var all []string
	for _, r := range rcpts {
		all = append(all, r.Address)
	}
	return strings.Join(all, " ")
}

// people is a call about a message to five.
func people() *host.Call {
	return newCall(abi.HookMessage, func(in *host.Input) {
		in.Recipients = nil
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			in.Recipients = append(in.Recipients, host.Recipient{Address: name + "@x"})
		}
	})
}

func TestVariants(t *testing.T) {
	c := people()
	c.HdrInsert(0, 0, "X-All", "1")
	first := c.VariantNew([]int32{2, 3})
	c.HdrInsert(0, 0, "X-Base", "2")
	c.VariantSelect(first)
	c.HdrInsert(0, 0, "X-First", "3")
	second := c.VariantNew([]int32{4})
	added := c.RcptAdd("f@x") // goes with the selected one
	c.VariantSelect(second)
	c.HdrInsert(0, 0, "X-Second", "4")
	c.RcptRemove(2)
	if first != 1 || second != 2 || added != 6 {
		t.Fatalf("got %d, %d, %d", first, second, added)
	}
	ch := c.Commit()
	if got := addressesOf(ch.Recipients); got != "a@x e@x" || len(ch.Variants) != 2 || !ch.RecipientsSet || !ch.Edited {
		t.Fatalf("got %q and %d variants", got, len(ch.Variants))
	}
	for i, want := range []struct{ rcpts, message string }{
		{"c@x f@x", "X-First: 3\r\nX-All: 1\r\n"},
		{"d@x", "X-Second: 4\r\nX-First: 3\r\nX-All: 1\r\n"},
	} {
		v := ch.Variants[i]
		if got := addressesOf(v.Recipients); got != want.rcpts {
			t.Errorf("variant %d: got %q, want %q", i+1, got, want.rcpts)
		}
		if got := octetsOf(v.Message); got != want.message+"Subject: x\r\n\r\nbody\r\n" {
			t.Errorf("variant %d: got %q", i+1, got)
		}
	}
	if got, want := octetsOf(ch.Message), "X-Base: 2\r\nX-All: 1\r\nSubject: x\r\n\r\nbody\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVariantsRefuse(t *testing.T) {
	c := people()
	c.RcptRemove(5)
	c.VariantNew([]int32{1})
	for what, got := range map[string]int32{
		"nobody":                   c.VariantNew(nil),
		"who is in one":            c.VariantNew([]int32{2, 1}),
		"who was removed":          c.VariantNew([]int32{5}),
		"who is not there":         c.VariantNew([]int32{9}),
		"select what is not there": int32(c.VariantSelect(2)),
		"select below zero":        int32(c.VariantSelect(-1)),
	} {
		want := abi.NotFound
		if what == "nobody" || what == "who is in one" {
			want = abi.BadArg
		}
		if got != int32(want) {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	// Somebody twice is one recipient all the same, and a call that failed
	// moved nobody.
	if got := c.VariantNew([]int32{2, 2}); got != 2 {
		t.Errorf("got %d", got)
	}
	if got := addressesOf(c.Commit().Variants[1].Recipients); got != "b@x" {
		t.Errorf("got %q", got)
	}
}

// TestAllInVariants holds that a message which nobody gets is not among the
// changes, nor is a variant that lost its recipients.
func TestAllInVariants(t *testing.T) {
	c := people()
	for id := int32(1); id <= 5; id++ {
		v := c.VariantNew([]int32{id})
		c.VariantSelect(v)
		c.HdrSet(0, 0, fmt.Sprint(v))
		c.VariantSelect(0)
	}
	c.RcptRemove(1)
	ch := c.Commit()
	if got := addressesOf(ch.Recipients); got != "b@x" || len(ch.Variants) != 3 {
		t.Fatalf("got %q and %d variants", got, len(ch.Variants))
	}
	if got, want := octetsOf(ch.Message), "Subject: 2\r\n\r\nbody\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Rollback()
	if got := c.VariantSelect(1); got != abi.NotFound {
		t.Errorf("a variant outlives the call: %v", got)
	}
}

// TestVariantsAreApart edits any of several variants by turns. Each has to be
// what a message is to which only its own edits were made, and those of what it
// was made of until then.
func TestVariantsAreApart(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := people()
		own := [][]edit{nil} // of each variant, with those before it began
		selected := 0
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0:
				if len(own) <= 5 {
					if v := c.VariantNew([]int32{int32(len(own))}); int(v) != len(own) {
						r.Fatalf("got %d, want %d", v, len(own))
					}
					own = append(own, slices.Clone(own[selected]))
				}
			case 1:
				selected = rapid.IntRange(0, len(own)-1).Draw(r, "variant")
				if e := c.VariantSelect(int32(selected)); e != abi.OK {
					r.Fatal(e)
				}
			default:
				e := rapid.SampledFrom(edits).Draw(r, "edit")
				e.do(c)
				own[selected] = append(own[selected], e)
			}
		}
		c.RcptAdd("f@x")
		c.RcptSet(5, "e@y")
		c.VariantSelect(0)
		c.RcptAdd("g@x") // so that the message itself has somebody
		ch := c.Commit()
		for i, edits := range own {
			alone := people()
			for _, e := range edits {
				e.do(alone)
			}
			alone.MsgSize() // opens it, if no edit did
			want, got := octetsOf(alone.Commit().Message), ch.Message
			switch {
			case i > 0:
				got = ch.Variants[i-1].Message
			case got == nil:
				continue // nobody looked
			}
			if octetsOf(got) != want {
				r.Fatalf("variant %d is %q, want %q", i, octetsOf(got), want)
			}
		}
	})
}

// An edit is one that can be made again elsewhere.
type edit struct {
	name string
	do   func(c *host.Call)
}

var edits = []edit{
	{"insert field", func(c *host.Call) { c.HdrInsert(0, 0, "X-A", "b") }},
	{"set field", func(c *host.Call) { c.HdrSet(0, 0, "other") }},
	{"remove field", func(c *host.Call) { c.HdrRemove(0, 0) }},
	{"replace body", func(c *host.Call) { c.PartReplace(0, "text/html", newBlob(c, "<p>\xc3\xaa")) }},
	{"replace message", func(c *host.Call) {
		c.MsgReplace(newBlob(c, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"))
	}},
	{"insert part", func(c *host.Call) { c.PartInsert(0, -1, "text/plain", "a.txt", newBlob(c, "text")) }},
	{"remove part", func(c *host.Call) { c.PartRemove(c.PartFirst(0)) }},
}

func newBlob(c *host.Call, octets string) int32 {
	b := c.BlobNew()
	c.BlobWrite(b, []byte(octets))
	return b
}
