package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// AccountCmd keeps the accounts of the state folder. Those of the pipeline
// file are changed there.
type AccountCmd struct {
	Add    AccountAddCmd    `cmd:"" help:"Add an account."`
	Passwd AccountPasswdCmd `cmd:"" help:"Set the password of an account."`
	List   AccountListCmd   `cmd:"" help:"List the accounts."`
	Remove AccountRemoveCmd `cmd:"" help:"Remove an account; its mail stays."`
	Hash   AccountHashCmd   `cmd:"" help:"Print the hash of a password, for the pipeline file."`
}

// Help implements kong's detailed help.
func (AccountCmd) Help() string {
	return "Example: mta account add carol@hamburger.edu\n\nA running server knows of a change at once."
}

// AccountAddCmd adds an account.
type AccountAddCmd struct {
	Name string `arg:"" help:"The account: an address."`
}

// Help implements kong's detailed help.
func (AccountAddCmd) Help() string {
	return "Example: mta account add carol@hamburger.edu\n\nThe password is asked for, or is the first line of standard input."
}

// Run adds the account.
func (c AccountAddCmd) Run(g *Globals) error {
	password, err := readPassword(g)
	if err != nil {
		return err
	}
	if err := daemon.AddAccount(g.Pipeline, c.Name, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "%s added\n", c.Name)
	return err
}

// AccountPasswdCmd sets a password.
type AccountPasswdCmd struct {
	Name string `arg:"" help:"The account."`
}

// Help implements kong's detailed help.
func (AccountPasswdCmd) Help() string {
	return "Example: mta account passwd carol@hamburger.edu\n\nThe password is asked for, or is the first line of standard input."
}

// Run sets the password.
func (c AccountPasswdCmd) Run(g *Globals) error {
	password, err := readPassword(g)
	if err != nil {
		return err
	}
	if err := daemon.SetPassword(g.Pipeline, c.Name, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "password of %s set\n", c.Name)
	return err
}

// AccountListCmd lists accounts.
type AccountListCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (AccountListCmd) Help() string { return "Example: mta account list --json" }

// Run lists the accounts of the file and of the state folder.
func (c AccountListCmd) Run(g *Globals) error {
	list, err := daemon.AccountList(g.Pipeline)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(list)
	}
	for _, a := range list {
		if _, err := fmt.Fprintf(g.Stdout, "%s\t%s\n", a.Name, a.Source); err != nil {
			return err
		}
	}
	return nil
}

// AccountRemoveCmd removes an account.
type AccountRemoveCmd struct {
	Name string `arg:"" help:"The account."`
}

// Help implements kong's detailed help.
func (AccountRemoveCmd) Help() string { return "Example: mta account remove carol@hamburger.edu" }

// Run removes the account.
func (c AccountRemoveCmd) Run(g *Globals) error {
	if err := daemon.RemoveAccount(g.Pipeline, c.Name); err != nil {
		return err
	}
	_, err := fmt.Fprintf(g.Stdout, "%s removed\n", c.Name)
	return err
}

// AccountHashCmd prints a password's hash.
type AccountHashCmd struct{}

// Help implements kong's detailed help.
func (AccountHashCmd) Help() string { return "Example: echo secret | mta account hash" }

// Run prints what stands in the file as the password of an account.
func (AccountHashCmd) Run(g *Globals) error {
	password, err := readPassword(g)
	if err != nil {
		return err
	}
	hash, err := account.Hash(password)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.Stdout, hash)
	return err
}

// maxPassword is the longest password that is read, in octets.
const maxPassword = 1024

var errNoPassword = errors.New("no password: type one, or give it as the first line of standard input")

// readPassword asks twice on a terminal; otherwise it reads a line.
func readPassword(g *Globals) (string, error) {
	if f, ok := g.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return promptPassword(g, int(f.Fd()))
	}
	line, err := bufio.NewReader(io.LimitReader(g.Stdin, maxPassword+2)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "":
		return "", errNoPassword
	case len(line) > maxPassword:
		return "", fmt.Errorf("a password has %d octets at most", maxPassword)
	}
	return line, nil
}

func promptPassword(g *Globals, fd int) (string, error) {
	defer showAgain(fd)()
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(g.Stderr, prompt)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(g.Stderr)
		if err != nil {
			return "", err
		}
		typed[i] = string(b)
	}
	switch {
	case typed[0] != typed[1]:
		return "", errors.New("the two differ; nothing was changed")
	case typed[0] == "":
		return "", errNoPassword
	}
	return typed[0], nil
}

// showAgain lets the terminal show what is typed again if the person ends the
// command with Ctrl-C instead of typing a password, until stop is called.
func showAgain(fd int) (stop func()) {
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	interrupted, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		select {
		case <-interrupted:
			term.Restore(fd, state)
			os.Exit(130) // as a shell has it for SIGINT
		case <-done:
		}
	}()
	return func() {
		signal.Stop(interrupted)
		close(done)
	}
}
