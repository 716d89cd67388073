package condition

import (
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// hooks are those before the queue, in the order in which what they know
// grows. A session may end at any time, so on_disconnect knows what on_connect
// does. Hooks after the queue know all.
var hooks = [...]string{
	mail.HookConnect, mail.HookHelo, mail.HookAuth, mail.HookMail, mail.HookRcpt, mail.HookData, mail.HookHeaders, mail.HookMessage,
}

// Known tells whether all that the expression speaks of is known when a hook is
// asked: size is not before the content, and a stage that is for large messages
// has nothing to say to a connection.
func (c *Condition) Known(hook string) bool {
	if hook == mail.HookDisconnect {
		return c.known == 0
	}
	at := slices.Index(hooks[:], hook)
	return at < 0 || at >= c.known
}

// knownFrom is the place in hooks from which all names of an expression are
// known.
func knownFrom(program *vm.Program) int {
	from := 0
	node := program.Node()
	ast.Walk(&node, visitor(func(n *ast.Node) {
		name, ok := (*n).(*ast.IdentifierNode)
		if !ok {
			return
		}
		for _, k := range Names {
			if k.Name == name.Value {
				from = max(from, slices.Index(hooks[:], k.Known))
			}
		}
	}))
	return from
}
