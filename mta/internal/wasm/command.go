package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// startFunction is what a WASI program exports.
const startFunction = "_start"

// What the stdout of a command is.
const (
	OutputMessage = "message" // replaces the message
	OutputHeaders = "headers" // goes on top of it
	OutputNone    = "none"    // is dropped
)

// A command is the worker of [ModeCommand]: a fresh instance for each message,
// whose _start is run with the message on stdin (sdk/WASI.md).
type command struct {
	plugin *Plugin
	inst   *instance
	stdout bytes.Buffer
	stderr lastWords
}

// tryCommand makes sure that the program can be instantiated, and runs nothing.
func (p *Plugin) tryCommand(ctx context.Context) error {
	inst := p.newInstance()
	defer inst.discard()
	inst.begin(ctx, p.loadBudget, nil)
	if err := inst.instantiate(ctx, p.moduleConfig(inst), nil); err != nil {
		return p.failure(ctx, "", inst, err)
	}
	return nil
}

// stdinGrants are what a program has that reads the message.
const stdinGrants = abi.GrantHeaders | abi.GrantBody

// commandGrants tells whether the plugin may have what a command is given.
func (p *Plugin) commandGrants() error {
	if lacks := p.grants.Lacks(stdinGrants); lacks != 0 {
		return &GrantError{What: "is run with the message on stdin", Lacks: lacks}
	}
	return nil
}

// An exit is what an exit code says.
type exit struct {
	verdict  abi.Verdict
	code     int32
	enhanced string
}

// exits are the exit codes that have a meaning: those of sysexits.h, and those
// of qmail's filters (100, 111, 99).
var exits = map[uint32]exit{
	0:   {verdict: abi.Continue},
	65:  {abi.Reject, 550, "5.6.0"},
	67:  {abi.Reject, 550, "5.1.1"},
	77:  {abi.Reject, 550, "5.7.1"},
	100: {abi.Reject, 550, "5.0.0"},
	69:  {abi.Defer, 451, "4.3.0"},
	71:  {abi.Defer, 451, "4.3.0"},
	73:  {abi.Defer, 451, "4.3.0"},
	74:  {abi.Defer, 451, "4.3.0"},
	75:  {abi.Defer, 451, "4.3.0"},
	111: {abi.Defer, 451, "4.3.0"},
	99:  {verdict: abi.Discard},
}

// run implements [worker].
func (c *command) run(ctx context.Context, hook string, call *host.Call) (int32, error) {
	p := c.plugin
	c.inst.begin(ctx, p.budget, nil)
	if err := c.inst.instantiate(ctx, c.config(call), call); err != nil {
		return 0, p.failure(ctx, hook, c.inst, err)
	}
	code, err := c.execute(ctx, call)
	if err != nil {
		return 0, p.failure(ctx, hook, c.inst, err)
	}
	end, ok := exits[code]
	if !ok {
		return 0, p.failure(ctx, hook, c.inst, sys.NewExitError(code))
	}
	if end.verdict == abi.Continue {
		if err := c.edit(call); err != nil {
			return 0, &Error{Plugin: p.name, Hook: hook, Kind: KindVerdict, Detail: err.Error(), Err: err}
		}
	}
	c.reply(call, end)
	return int32(end.verdict), nil
}

// execute runs the program to its end.
func (c *command) execute(ctx context.Context, call *host.Call) (code uint32, err error) {
	for _, name := range []string{c.plugin.code.start, startFunction} {
		if name == "" {
			continue
		}
		_, err := c.inst.invoke(ctx, c.inst.mod.ExportedFunction(name), call)
		if end, ok := errors.AsType[*sys.ExitError](err); ok {
			return end.ExitCode(), nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// config is what the program sees beside what all guests see.
func (c *command) config(call *host.Call) wazero.ModuleConfig {
	p := c.plugin
	config := p.moduleConfig(c.inst).
		WithStdin(&messageReader{call: call, inst: c.inst}).
		WithStdout(c).WithStderr(&c.stderr)
	if p.code.bundle == nil || len(p.code.bundle.Args) == 0 {
		config = config.WithArgs(p.name)
	}
	env := environment(call)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		config = config.WithEnv(name, strings.ReplaceAll(env[name], "\x00", ""))
	}
	return config
}

// environment is what a command finds in its environment. What it was not
// granted is not there.
func environment(call *host.Call) map[string]string {
	env := map[string]string{}
	for name, key := range map[string]string{
		"MTA_STAGE": "/stage", "CLIENT_IP": "/client/ip", "HELO": "/client/ehlo", "AUTH_USER": "/auth/login", "QUEUE_ID": "/queue/id",
	} {
		env[name], _ = call.CtxGet(key)
	}
	config, _ := call.Config()
	context, _ := call.CtxJSON()
	env["MTA_CONFIG"], env["MTA_CTX"] = string(config), string(context)
	if sender, e := call.SenderGet(); e == abi.OK {
		env["SENDER"] = sender
		env["RECIPIENTS"] = strings.Join(addresses(call), "\n")
	}
	return env
}

// addresses are the forward-paths as they are now.
func addresses(call *host.Call) []string {
	list := []string{}
	for i := range max(call.RcptCount(), 0) {
		if s, e := call.RcptGet(call.RcptAt(i), abi.RcptAddress); e == abi.OK {
			list = append(list, s)
		}
	}
	return list
}

// Write implements [io.Writer]: it is the program's stdout.
func (c *command) Write(p []byte) (int, error) {
	c.inst.gauge.copied(len(p))
	most := map[string]int{OutputMessage: host.DefaultBlobOctets, OutputHeaders: host.DefaultHeaderOctets}[c.plugin.output]
	if most == 0 {
		return len(p), nil
	}
	if c.stdout.Len()+len(p) > most {
		panic(fmt.Errorf("wrote more than %s to stdout", octets(int64(most))))
	}
	return c.stdout.Write(p)
}

// edit does what stdout says.
func (c *command) edit(call *host.Call) error {
	out := crlf(c.stdout.Bytes())
	switch {
	case c.plugin.output == OutputMessage && len(out) == 0:
		return errors.New("exited with code 0 and wrote no message")
	case c.plugin.output == OutputMessage:
		return replace(call, out)
	case c.plugin.output == OutputHeaders:
		return onTop(call, string(out))
	}
	return nil
}

// replace makes a message of octets, unless it has them already.
func replace(call *host.Call, octets []byte) error {
	if call.MsgSize() == int64(len(octets)) {
		same := make([]byte, len(octets))
		if n := call.MsgRead(0, same); int(n) == len(same) && bytes.Equal(same, octets) {
			return nil
		}
	}
	blob := call.BlobNew()
	e := abi.Errno(min(blob, 0))
	if e == abi.OK {
		e = call.BlobWrite(blob, octets)
	}
	if e == abi.OK {
		e = call.MsgReplace(blob)
	}
	if e != abi.OK {
		return fmt.Errorf("message cannot be replaced: %w", e)
	}
	return nil
}

// onTop inserts header fields above all others.
func onTop(call *host.Call, text string) error {
	var fields []string
	for line := range strings.Lines(text) {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += line
		} else {
			fields = append(fields, line)
		}
	}
	for i := len(fields) - 1; i >= 0; i-- {
		if e := call.HdrInsertRaw(abi.Root, abi.IndexTop, fields[i]); e != abi.OK {
			return fmt.Errorf("field %q cannot be inserted: %w", cut(fields[i]), e)
		}
	}
	return nil
}

// crlf makes each line end one of CRLF.
func crlf(b []byte) []byte {
	if bytes.Count(b, []byte("\n")) == bytes.Count(b, []byte("\r\n")) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// reply gives the reply that stderr or the exit code names.
func (c *command) reply(call *host.Call, end exit) {
	if end.code == 0 {
		return
	}
	enhanced, text := end.enhanced, ""
	if said, words := c.stderr.reply(); said != "" && said[0] == enhanced[0] {
		enhanced, text = said, words
	}
	if call.Reply(end.code, enhanced, text) != abi.OK {
		call.Reply(end.code, end.enhanced, "")
	}
}

// usage implements [worker].
func (c *command) usage() mail.Usage { return c.inst.usage() }

var errSpent = errors.New("runs once")

// settle implements [worker]: a command serves one message.
func (c *command) settle() error { return errSpent }

// discard implements [worker].
func (c *command) discard() { c.inst.discard() }

// messageReader reads a message from its beginning. From there on random octets
// are real, if they are granted: what a program's runtime seeds itself with
// before is the same for each message, so that each costs the same.
type messageReader struct {
	call *host.Call
	inst *instance
	at   int64
}

// Read implements [io.Reader].
func (r *messageReader) Read(p []byte) (int, error) {
	r.inst.random.real = r.inst.plugin.entropy()
	r.inst.gauge.look()
	n := r.call.MsgRead(r.at, p[:min(len(p), maxRead)])
	switch {
	case n < 0:
		return 0, abi.Errno(n)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	r.inst.gauge.copied(int(n))
	r.at += int64(n)
	return int(n), nil
}
