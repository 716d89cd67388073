package e2e

import (
	"strings"
	"testing"
)

// demoPassword is the hash of "ketchup", as in the default file.
const demoPassword = `"$argon2id$v=19$m=19456,t=2,p=1$Qy6w9AGYGLI934WB9qduvQ$U+Pis8LBtGfGwgfzo/34LqBOoe+pJneAqEELqsbq0lc"`

// hamburger is a server for hamburger.edu on ports that the system chooses,
// with the three stages. Lines of extra are added to the file.
func hamburger(extra string) string {
	yaml := `hostname: hamburger.edu
state: var
listen:
  smtp:       [127.0.0.1:0]
  submission: [127.0.0.1:0]
  pop3:       [127.0.0.1:0]
  imap:       [127.0.0.1:0]
  http:       [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
accounts:
  alice@hamburger.edu: {password: PASSWORD}
  bob@hamburger.edu: {password: PASSWORD}
plugins:
  stamp: ROOT/plugins/stamp
  rewrite: ROOT/plugins/rewrite
  route: ROOT/plugins/route
pipeline:
  - plugin: stamp
    config: {add: {X-Processed-By: "${hostname}"}}
  - plugin: rewrite
    when: size < 1048576 && !authenticated
    config: {footer: {text: "Sent through hamburger.edu"}}
  - plugin: route
    config: {rules: []}
` + extra
	return strings.ReplaceAll(yaml, "PASSWORD", demoPassword)
}

// plain is hamburger without stages.
func plain(t testing.TB, extra string) string {
	t.Helper()
	yaml := hamburger(extra)
	from, to := strings.Index(yaml, "plugins:"), strings.Index(yaml, "  - plugin: route\n    config: {rules: []}\n")
	if from < 0 || to < 0 {
		t.Fatal("hamburger has changed; so must plain")
	}
	return yaml[:from] + yaml[to+len("  - plugin: route\n    config: {rules: []}\n"):]
}
