package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/wasmta/wasmta/mta/internal/config"
)

// unexpected is how package kong begins what it says of a word that is no
// command.
const unexpected = "unexpected argument "

// usageText makes one line of a mistake in the command line: what is wrong, and
// what helps.
func usageText(err error) string {
	failure, ok := errors.AsType[*kong.ParseError](err)
	if !ok || failure.Context == nil {
		return err.Error()
	}
	node := mistaken(failure.Context)
	see := "see `" + node.FullPath() + " --help`"
	word, ok := strings.CutPrefix(err.Error(), unexpected)
	if !ok || len(node.Children) == 0 {
		return err.Error() + "; " + see
	}
	word, _, _ = strings.Cut(word, ",") // kong may have a suggestion of its own
	names := commandNames(node)
	if near := nearestCommand(word, names); near != "" {
		return fmt.Sprintf("%s is no command; write %q, or %s", word, near, see)
	}
	return fmt.Sprintf("%s is no command; there are %s; %s", word, strings.Join(names, ", "), see)
}

// mistaken is the command at which parsing stopped. A default command that was
// only assumed is not what the person wrote.
func mistaken(ctx *kong.Context) *kong.Node {
	node := ctx.Model.Node
	for _, p := range ctx.Path {
		if p.Command != nil {
			node = p.Command
		}
	}
	if node.Parent != nil && node.Parent.DefaultCmd == node && !wrote(ctx.Args, node.Name) {
		return node.Parent
	}
	return node
}

func wrote(args []string, word string) bool {
	return slices.Contains(args, word)
}

func commandNames(node *kong.Node) (names []string) {
	for _, child := range node.Children {
		if child.Type == kong.CommandNode {
			names = append(names, child.Name)
		}
	}
	return names
}

// nearestCommand is the name that word begins, or was most likely meant to be;
// empty if there is none.
func nearestCommand(word string, names []string) string {
	for _, name := range names {
		if word != "" && strings.HasPrefix(name, word) {
			return name
		}
	}
	return config.Nearest(word, names)
}
