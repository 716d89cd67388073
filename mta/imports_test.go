package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/wasmta/wasmta/"

// TestImports holds the table of imports: every package of the repository
// has a row, and imports what its row says and nothing else (but the standard
// library). A row without a use is refused too, so the table stays true.
func TestImports(t *testing.T) {
	found := packageImports(t, "..")
	for pkg, imports := range found {
		row, ok := allowed[pkg]
		if !ok {
			t.Errorf("package %s has no row in allowed: decide what it may import, and add %q: %q", pkg, pkg, strings.Join(imports, " "))
			continue
		}
		want := strings.Fields(row)
		for _, path := range imports {
			if !slices.Contains(want, path) {
				t.Errorf("package %s imports %s, which its row in allowed does not list", pkg, path)
			}
		}
		for _, path := range want {
			if !slices.Contains(imports, path) {
				t.Errorf("the row of package %s lists %s, which it does not import", pkg, path)
			}
		}
	}
	for pkg := range allowed {
		if _, ok := found[pkg]; !ok {
			t.Errorf("allowed has a row for %s, which is no package", pkg)
		}
	}
}

// TestNeverImports holds what must stay true whatever the table of imports
// says: the seams between the parts.
func TestNeverImports(t *testing.T) {
	for pkg, row := range allowed {
		for _, never := range strings.Fields(forbidden[pkg]) {
			if slices.Contains(strings.Fields(row), never) {
				t.Errorf("package %s must never import %s", pkg, never)
			}
		}
		for _, path := range strings.Fields(row) {
			owner, ok := sole[path]
			if ok && !slices.Contains(strings.Fields(owner), pkg) {
				t.Errorf("package %s imports %s, which only %s may", pkg, path, owner)
			}
		}
	}
}

// packageImports maps each package folder below root to what its files other
// than tests import, without the standard library; our own packages by their
// folder, others by their path.
func packageImports(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "var") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := found[pkg]
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(imp, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library
			}
			imp = strings.TrimPrefix(imp, module)
			if !slices.Contains(imports, imp) {
				imports = append(imports, imp)
			}
		}
		slices.Sort(imports)
		found[pkg] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// allowed is what each package may import beside the standard library.
var allowed = map[string]string{
	"examples/disclaimer":             "sdk/go",
	"examples/vacation":               "sdk/go",
	"examples/hello":                  "sdk/go",
	"mta":                             "github.com/alecthomas/kong golang.org/x/term mta/internal/account mta/internal/admin mta/internal/config mta/internal/daemon mta/internal/mail mta/internal/offline mta/internal/queue mta/internal/report sdk/conformance/kit sdk/templates",
	"mta/fault":                       "github.com/alecthomas/kong mta/internal/fault",
	"mta/internal/account":            "golang.org/x/crypto/argon2 golang.org/x/net/idna golang.org/x/text/unicode/norm mta/internal/mail",
	"mta/internal/admin":              "golang.org/x/net/netutil mta/internal/mail mta/internal/queue mta/internal/standing",
	"mta/internal/bolt":               "go.etcd.io/bbolt go.etcd.io/bbolt/errors",
	"mta/internal/cases":              "mta/internal/mail mta/internal/wasm sdk/abi sdk/host sdk/testcase",
	"mta/internal/condition":          "github.com/expr-lang/expr github.com/expr-lang/expr/ast github.com/expr-lang/expr/file github.com/expr-lang/expr/vm mta/internal/mail sdk/mimetree",
	"mta/internal/config":             "golang.org/x/net/idna gopkg.in/yaml.v3 mta/internal/mail",
	"mta/internal/daemon":             "github.com/google/renameio/v2 mta/internal/account mta/internal/admin mta/internal/cases mta/internal/condition mta/internal/config mta/internal/delivery mta/internal/imapd mta/internal/kv mta/internal/kv/redis mta/internal/lookup mta/internal/mail mta/internal/mailbox mta/internal/metrics mta/internal/offline mta/internal/pipeline mta/internal/pop3d mta/internal/postqueue mta/internal/queue mta/internal/queue/redis mta/internal/queue/shared mta/internal/queue/spool mta/internal/relay mta/internal/relay/dnssec mta/internal/relay/sts mta/internal/relay/tlsrpt mta/internal/report mta/internal/smtpc mta/internal/smtpd mta/internal/standing mta/internal/toolchain mta/internal/wasm sdk/abi sdk/conformance/kit sdk/host sdk/mimetree sdk/testcase",
	"mta/internal/delivery":           "mta/internal/mail mta/internal/parallel mta/internal/smtp",
	"mta/internal/disk":               "golang.org/x/sys/unix",
	"mta/internal/disk/faultdisk":     "mta/internal/disk",
	"mta/internal/dsn":                "mta/internal/mail",
	"mta/internal/e2e":                "",
	"mta/internal/fault":              "golang.org/x/sys/unix mta/internal/disk mta/internal/disk/faultdisk mta/internal/mail mta/internal/queue mta/internal/queue/spool mta/internal/testpeer/redistest",
	"mta/internal/imapd":              "github.com/emersion/go-imap/v2 github.com/emersion/go-imap/v2/imapserver github.com/emersion/go-message github.com/emersion/go-message/charset github.com/emersion/go-message/textproto github.com/emersion/go-sasl mta/internal/mailbox mta/internal/sasl mta/internal/sessions sdk/mimetree",
	"mta/internal/linker":             "",
	"mta/internal/kv":                 "go.etcd.io/bbolt mta/internal/bolt sdk/host",
	"mta/internal/kv/kvtest":          "pgregory.net/rapid sdk/host",
	"mta/internal/kv/redis":           "github.com/redis/go-redis/v9 mta/internal/kv mta/internal/redisurl sdk/host",
	"mta/internal/lookup":             "sdk/host",
	"mta/internal/mail":               "",
	"mta/internal/mailbox":            "mta/internal/disk mta/internal/mail",
	"mta/internal/meter":              "",
	"mta/internal/metrics":            "github.com/prometheus/client_golang/prometheus github.com/prometheus/client_golang/prometheus/collectors github.com/prometheus/client_golang/prometheus/promhttp mta/internal/mail",
	"mta/internal/origin":             "mta/internal/mail sdk/mimetree",
	"mta/internal/offline":            "mta/internal/mail mta/internal/pipeline mta/internal/report mta/internal/smtp sdk/mimetree",
	"mta/internal/parallel":           "",
	"mta/internal/pipeline":           "mta/internal/mail mta/internal/origin mta/internal/smtp",
	"mta/internal/pop3d":              "mta/internal/mailbox mta/internal/sasl mta/internal/sessions",
	"mta/internal/postqueue":          "mta/internal/mail mta/internal/smtp",
	"mta/internal/queue":              "golang.org/x/sync/errgroup mta/internal/dsn mta/internal/mail mta/internal/smtp",
	"mta/internal/queue/queuetest":    "github.com/google/go-cmp/cmp github.com/google/go-cmp/cmp/cmpopts mta/internal/mail mta/internal/queue pgregory.net/rapid",
	"mta/internal/queue/redis":        "github.com/redis/go-redis/v9 github.com/redis/go-redis/v9/logging mta/internal/disk mta/internal/mail mta/internal/queue mta/internal/redisurl",
	"mta/internal/redisurl":           "github.com/redis/go-redis/v9",
	"mta/internal/queue/shared":       "mta/internal/mail mta/internal/queue mta/internal/queue/redis",
	"mta/internal/queue/spool":        "mta/internal/disk mta/internal/mail mta/internal/queue",
	"mta/internal/relay":              "golang.org/x/net/idna mta/internal/mail mta/internal/parallel mta/internal/relay/dane mta/internal/relay/dnssec mta/internal/relay/sts mta/internal/relay/tlsrpt mta/internal/relay/verp mta/internal/smtp mta/internal/smtpc sdk/mimetree",
	"mta/internal/relay/dane":         "",
	"mta/internal/relay/dnssec":       "github.com/miekg/dns mta/internal/relay/dane",
	"mta/internal/relay/sts":          "github.com/google/renameio/v2 golang.org/x/sync/singleflight",
	"mta/internal/relay/tlsrpt":       "",
	"mta/internal/relay/verp":         "mta/internal/mail",
	"mta/internal/report":             "mta/internal/mail sdk/mimetree",
	"mta/internal/script":             "mta/internal/linker sdk sdk/abi sdk/bundle",
	"mta/internal/sessions":           "",
	"mta/internal/sasl":               "github.com/emersion/go-sasl",
	"mta/internal/smtp":               "github.com/emersion/go-smtp mta/internal/mail",
	"mta/internal/smtpc":              "github.com/emersion/go-sasl mta/internal/mail mta/internal/smtp",
	"mta/internal/smtpc/smtpctest":    "",
	"mta/internal/smtpd":              "github.com/emersion/go-sasl github.com/emersion/go-smtp mta/internal/mail mta/internal/sasl mta/internal/sessions mta/internal/smtp",
	"mta/internal/standing":           "mta/internal/mail mta/internal/queue sdk/host",
	"mta/internal/testpeer":           "",
	"mta/internal/testpeer/dnstest":   "github.com/miekg/dns",
	"mta/internal/testpeer/redistest": "github.com/redis/go-redis/v9 github.com/redis/go-redis/v9/logging mta/internal/testpeer",
	"mta/internal/toolchain":          "github.com/google/renameio/v2 mta/internal/script sdk",
	"mta/internal/transcript":         "",
	"mta/internal/wasm":               "github.com/google/renameio/v2 github.com/tetratelabs/wazero github.com/tetratelabs/wazero/api github.com/tetratelabs/wazero/experimental github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1 github.com/tetratelabs/wazero/sys golang.org/x/sys/unix mta/internal/mail mta/internal/meter sdk/abi sdk/bundle sdk/host sdk/mimetree",
	"plugins/rewrite":                 "sdk/go",
	"plugins/route":                   "sdk/go",
	"plugins/stamp":                   "sdk/go",
	"sdk":                             "",
	"sdk/abi":                         "",
	"sdk/abidoc":                      "sdk/abi sdk/testcase",
	"sdk/bundle":                      "",
	"sdk/conformance":                 "",
	"sdk/conformance/filters/go":      "sdk/go",
	"sdk/conformance/kit":             "sdk/abi sdk/host sdk/mimetree",
	"sdk/go":                          "sdk/abi sdk/go/internal/guest",
	"sdk/go/internal/guest":           "sdk/abi",
	"sdk/go/mtatest":                  "gopkg.in/yaml.v3 sdk/abi sdk/go/internal/guest sdk/host sdk/mimetree sdk/testcase",
	"sdk/go/onauth":                   "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onconnect":                "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/ondata":                   "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/ondelivery":               "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/ondisconnect":             "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/ondsn":                    "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onheaders":                "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onhelo":                   "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onlocal":                  "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onmail":                   "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onrcpt":                   "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/go/onroute":                  "sdk/abi sdk/go sdk/go/internal/guest",
	"sdk/internal/declare":            "sdk/abi",
	"sdk/host":                        "golang.org/x/net/idna sdk/abi sdk/mimetree",
	"sdk/testcase":                    "golang.org/x/tools/txtar gopkg.in/yaml.v3 sdk/abi sdk/host",
	"sdk/templates":                   "sdk",
	"sdk/templates/go":                "sdk/go",
	"sdk/mimetree":                    "golang.org/x/text/encoding golang.org/x/text/encoding/htmlindex golang.org/x/text/encoding/ianaindex golang.org/x/text/encoding/unicode golang.org/x/text/runes golang.org/x/text/transform",
}

// forbidden is what a package never imports.
var forbidden = map[string]string{
	"mta/internal/smtp":            "mta/internal/smtpd mta/internal/smtpc",
	"mta/internal/smtpd":           "mta/internal/pipeline mta/internal/queue mta/internal/account",
	"mta/internal/pipeline":        "mta/internal/wasm mta/internal/config",
	"mta/internal/toolchain":       "mta/internal/wasm mta/internal/config",
	"mta/internal/report":          "mta/internal/wasm mta/internal/pipeline mta/internal/config",
	"mta/internal/offline":         "mta/internal/wasm mta/internal/config mta/internal/smtpd",
	"mta/internal/cases":           "mta/internal/config mta/internal/toolchain mta/internal/pipeline",
	"mta/internal/wasm":            "mta/internal/smtpd mta/internal/queue mta/internal/toolchain",
	"mta/internal/postqueue":       "mta/internal/pipeline mta/internal/wasm mta/internal/queue mta/internal/delivery",
	"mta/internal/queue":           "mta/internal/queue/spool mta/internal/delivery mta/internal/relay mta/internal/pipeline",
	"mta/internal/queue/redis":     "mta/internal/queue/spool mta/internal/smtp",
	"mta/internal/queue/shared":    "mta/internal/queue/spool mta/internal/smtp",
	"mta/internal/queue/spool":     "mta/internal/smtp mta/internal/queue/redis",
	"mta/internal/queue/queuetest": "mta/internal/queue/spool",
	"mta/internal/dsn":             "mta/internal/queue",
	"mta/internal/delivery":        "mta/internal/mailbox mta/internal/relay",
	"mta/internal/smtpc":           "mta/internal/relay",
	"mta/internal/relay":           "mta/internal/queue mta/internal/smtpd",
	"mta/internal/mailbox":         "mta/internal/smtp mta/internal/pop3d mta/internal/imapd",
	"mta/internal/pop3d":           "mta/internal/smtpd mta/internal/queue mta/internal/imapd",
	"mta/internal/imapd":           "mta/internal/smtpd mta/internal/queue mta/internal/pop3d",
	"mta/internal/admin":           "mta/internal/smtpd",
	"mta/internal/account":         "mta/internal/smtp mta/internal/smtpd mta/internal/pop3d mta/internal/imapd",
}

// sole names the only packages that may import a thing.
var sole = map[string]string{
	"gopkg.in/yaml.v3":              "mta/internal/config sdk/go/mtatest sdk/testcase",
	"github.com/tetratelabs/wazero": "mta/internal/wasm",
	"go.etcd.io/bbolt":              "mta/internal/bolt mta/internal/kv",
	"mta/internal/daemon":           "github.com/google/renameio/v2 mta mta/internal/cases mta/internal/report sdk/mimetree sdk/testcase",
	"mta/internal/testpeer":         "mta/internal/testpeer/redistest",
}
