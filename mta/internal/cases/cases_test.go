package cases

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/sdk/templates"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// plugin does a bit of all that a case can look at.
const plugin = `#include "mta.h"

static int32_t is(const char *a, int32_t n, const char *b) {
	for (int32_t i = 0; i < n; i++) if (a[i] != b[i]) return 0;
	return b[n] == 0;
}

MTA_HOOK(on_rcpt) {
	char seen[8];
	if (mta_kv_get(MTA_S("seen"), seen, sizeof seen) > 0) {
		mta_counter(MTA_S("again"), 1);
		return MTA_CONTINUE;
	}
	mta_kv_set(MTA_S("seen"), MTA_S("yes"), 0);
	return mta_defer(451, MTA_S("4.7.1"), MTA_S("Later"));
}

MTA_HOOK(on_message) {
	char what[32], ip[64];
	int32_t n = mta_config(what, sizeof what);
	if (is(what, n, "{\"do\":\"trap\"}")) __builtin_trap();
	if (is(what, n, "{\"do\":\"spin\"}")) for (volatile int32_t i = 0;;) i = i + 1;
	if (is(what, n, "{\"do\":\"bad\"}")) return 77;
	mta_note_set(MTA_SCOPE_TRANSACTION, MTA_S("k"), MTA_S("v"));
	mta_log(MTA_LEVEL_WARN, MTA_S("hm"));
	n = mta_dns(1, MTA_S("mx.crepes.fr"), ip, sizeof ip);
	if (n > 0) mta_hdr_insert(MTA_ROOT, MTA_INDEX_BOTTOM, MTA_S("X-IP"), (mta_str){ip, (size_t)n});
	return MTA_CONTINUE;
}
`

// build compiles the plugin.
func build(t *testing.T) []byte {
	t.Helper()
	testpeer.NeedCompiler(t, "c")
	lang, _ := templates.Find("c")
	files, err := lang.Files("cases")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"plugin.c": []byte(plugin), "mta.h": files["mta.h"]} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	module, err := (&toolchain.Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestCasesComeToTheSameAsInTheServer(t *testing.T) {
	p := Open(build(t), "")
	defer p.Close(context.Background())
	for name, text := range map[string]string{
		"first":   "-- envelope --\nhook: on_rcpt\n-- want --\nverdict: defer\nreply: 451 4.7.1 Later\nkv: seen=yes\n",
		"again":   "-- envelope --\nhook: on_rcpt\n-- kv --\nseen=yes\n-- want --\nverdict: continue\nkv: seen=yes\ncounter: again=1\n",
		"message": "-- want --\nverdict: continue\nfrom: alice@crepes.fr\nto: bob@hamburger.edu\nnote: k=v\nlog: warn: hm\n",
		"dns": "-- dns --\nmx.crepes.fr A 192.0.2.7\n-- message.eml --\nSubject: x\n\nHello\n-- want --\nverdict: continue\nlog: warn: hm\n" +
			"-- want.eml --\nSubject: x\nX-IP: 192.0.2.7\n\nHello\n",
		"other server": "-- envelope --\nhostname: other.example\n-- want --\nverdict: continue\nlog: warn: hm\n",
		"no verdict":   "-- config.yaml --\ndo: bad\n-- want --\nverdict: failed\n",
		"a trap":       "-- config.yaml --\ndo: trap\n-- want --\nverdict: failed\nlog: error: plugin test: on_message: unreachable\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := testcase.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Compare(r) {
				t.Errorf("%s: got\n%s\nwant\n%s", d.What, d.Got, d.Want)
			}
		})
	}
}

func TestAPluginThatSpinsFailsItsCase(t *testing.T) {
	p := Open(build(t), "")
	defer p.Close(context.Background())
	c, err := testcase.Parse([]byte("-- config.yaml --\ndo: spin\n-- want --\nverdict: failed\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Run(t.Context(), c); err != nil || r.Verdict != testcase.Failed || len(r.Log) != 1 || string(r.Message) != string(c.Message) {
		t.Errorf("%+v, %v", r, err)
	}
}
