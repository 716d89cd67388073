package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// A Stage is one entry of the pipeline.
type Stage struct {
	Name      string          // unique; of its plugin unless given
	Plugin    string          // the Name of one of Plugins
	When      string          // condition; empty: always
	Config    json.RawMessage // the plugin's own, in the order of the file; `{}` if none was given
	Timeout   time.Duration   // of one hook
	Memory    Size            // of one guest
	Fuel      uint64          // of one hook, in units of computing
	LogOctets Size            // that one hook may log
	HostCalls int             // calls of ABI functions in one hook
	Isolation string          // message, or none: what one message leaves in a guest, the next one finds
	Grant     []string        // what of the ABI the plugin may use; words of Grants
	Folders   []Folder        // read-only; in the order of the file
	After     string          // data, or queue: once the message is safe
	Mode      string          // auto, native, command or loop
	Output    string          // message, headers or none: what a command's output is
	Instances int             // that run at once, at most; zero: one for each processor
	Breaker   Breaker
	OnError   OnError
}

// A Folder is one that a guest may read.
type Folder struct {
	Name string // the guest sees it as /Name
	Path string // joined to Dir; it existed when the file was checked
}

// A Breaker passes a stage over to its on_error at once, for a while, when it
// failed too often.
type Breaker struct {
	Failures int           // within Window; zero: never
	Window   time.Duration //
	Pause    time.Duration // until it is asked again
}

// Grants are the words of [Stage.Grant], in the order of the reference.
var Grants = []string{"headers", "body", "envelope", "route", "send", "kv", "dns", "clock", "random", "folders"}

// defaultStage is a stage that names only its plugin.
func defaultStage() Stage {
	return Stage{
		Config:    json.RawMessage("{}"),
		Timeout:   5 * time.Second, // of wall time, on a busy machine
		Memory:    64 << 20,        // a Go guest starts with 4 MiB; the rest is for large messages
		Fuel:      1e9,             // what a busy machine computes within the timeout
		LogOctets: 64 << 10,        // some hundred lines; a Go panic writes that many
		HostCalls: 1e6,             // a call costs 50 ns and more; a filter needs some thousands
		Isolation: "message",
		Grant:     []string{"headers", "body", "envelope", "route", "clock", "random"}, // nothing that outlives the message
		After:     "data",
		Mode:      "auto",
		Output:    "message",
		Breaker:   Breaker{Failures: 5, Window: time.Minute, Pause: 30 * time.Second},
		OnError:   OnErrorDefer,
	}
}

func stageKeys() object[Stage] {
	onError := enum(OnErrorDefer, OnErrorSkip, OnErrorReject, OnErrorQuarantine)
	when := text("condition")
	when.then = compileWhen
	return object[Stage]{then: checkStage, keys: append([]key[Stage]{
		required(field("plugin", text("plugin's name"), func(s *Stage) *string { return &s.Plugin }, "The name of one of `plugins`.")),
		field("name", stageName(), func(s *Stage) *string { return &s.Name }, "The stage's name in logs and metrics. Left out: that of its plugin."),
		field("when", when, func(s *Stage) *string { return &s.When }, "Condition; the stage is passed over when it is false. Its names are in `mta/docs/conditions.md`."),
		field("config", raw{}, func(s *Stage) *json.RawMessage { return &s.Config }, "What the plugin is told; its README says what it knows. Nothing in it is filled in: `${…}` belongs to the plugin."),
		field("after", enum("data", "queue"), func(s *Stage) *string { return &s.After }, "When the stage is asked: `data`, before the reply to the client, or `queue`, once the message is safe."),
		field("on_error", onError, func(s *Stage) *OnError { return &s.OnError }, "What becomes of a message whose stage traps, or runs out of time, fuel or memory."),
		field("breaker", breakerKeys(), func(s *Stage) *Breaker { return &s.Breaker }, "When a stage that fails again and again goes to its `on_error` without being asked."),
	}, sandboxKeys()...)}
}

func breakerKeys() object[Breaker] {
	return object[Breaker]{keys: []key[Breaker]{
		field("failures", number(0, 1000000), func(b *Breaker) *int { return &b.Failures }, "So many failures within `window` open it; `0` is never."),
		field("window", duration(time.Second, day), func(b *Breaker) *time.Duration { return &b.Window }, "The time in which failures are counted."),
		field("pause", duration(time.Second, day), func(b *Breaker) *time.Duration { return &b.Pause }, "How long the stage is left alone before it is tried again."),
	}}
}

// sandboxKeys are those that bound what a plugin can do.
func sandboxKeys() []key[Stage] {
	instances := number(1, 10000)
	instances.show = func(int) any { return nil }
	return []key[Stage]{
		field("grant", grantList{list[string]{elem: enum(Grants...)}}, func(s *Stage) *[]string { return &s.Grant }, "What of the plugin ABI the stage may use. A plugin that imports a function it is not granted is refused when the file is read. `[]` grants nothing but the config, the log and what is known of the session."),
		field("folders", folders(), func(s *Stage) *[]Folder { return &s.Folders }, "Folders that a plugin may read, by the name it sees: `data: /srv/lists` is `/data` in WASI."),
		field("timeout", duration(time.Millisecond, time.Hour), func(s *Stage) *time.Duration { return &s.Timeout }, "How long one hook of one message may take."),
		field("fuel", count[uint64](1000, 1e15), func(s *Stage) *uint64 { return &s.Fuel }, "How much one hook may compute, in units of about one instruction; the same message costs the same on every machine, and `mta run` shows how much."),
		field("memory", size(1<<20, 4<<30), func(s *Stage) *Size { return &s.Memory }, "How much memory one instance of the plugin may have."),
		field("log", size(1, 1<<30), func(s *Stage) *Size { return &s.LogOctets }, "How much one hook may log; what is more is cut, and that is logged."),
		field("calls", count[int](1, 1e9), func(s *Stage) *int { return &s.HostCalls }, "How many functions of the ABI one hook may call."),
		field("isolation", enum("message", "none"), func(s *Stage) *string { return &s.Isolation }, "`message`: nothing that a plugin keeps in its memory reaches the next message. `none`: it does, and a message costs less."),
		field("instances", instances, func(s *Stage) *int { return &s.Instances }, "How many instances run at once, at most. Left out: one for each processor."),
		field("mode", enum("auto", "native", "command", "loop"), func(s *Stage) *string { return &s.Mode }, "How the plugin is run: with the functions of the ABI (`native`), as a Unix filter (`command`), or as one that stays (`loop`). `auto` is what the module says of itself."),
		field("output", enum("message", "headers", "none"), func(s *Stage) *string { return &s.Output }, "In command mode, what the standard output is: the new message, fields for its top, or nothing."),
	}
}

// grantList is a list of words that is left out when it is empty in the file,
// and nothing when it is `[]`.
type grantList struct{ list[string] }

func (l grantList) decode(d *decoder, n *yaml.Node, at string, v *[]string) {
	if isNull(n) {
		delete(d.places, at)
		return
	}
	var words []string
	l.list.decode(d, n, at, &words)
	first := map[string]bool{}
	for i, word := range words {
		if word != "" && first[word] {
			d.addAt(d.places[Index(at, i)], Index(at, i), fmt.Sprintf("%q is here twice", word), "keep one of them")
		}
		first[word] = true
	}
	*v = slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

func (l grantList) shape(def *[]string) shape {
	s := l.list.shape(def)
	s.words = "list of " + strings.Join(Grants, ", ")
	if def != nil && *def != nil {
		s.schema.Default = *def
	}
	return s
}

func folders() dict[Folder] {
	folder := path("folder")
	join := folder.then
	folder.then = func(d *decoder, n *yaml.Node, at string, v *string) {
		join(d, n, at, v)
		checkFolder(d, n, at, *v)
	}
	return dict[Folder]{
		what: "a name", want: "letters, digits, - and _",
		name: func(_ *Options, key string) (Folder, string, error) {
			switch {
			case !isPlain(key):
				return Folder{}, key, errNotName
			case key == "plugin":
				return Folder{}, key, &unitError{`"plugin" is the folder of a plugin's own files`, "choose another name"}
			}
			return Folder{Name: key}, key, nil
		},
		elem: part(folder, func(f *Folder) *string { return &f.Path }),
	}
}

func checkFolder(d *decoder, n *yaml.Node, at, path string) {
	info, err := exists(path)
	switch {
	case err != nil:
		d.add(n, at, fmt.Sprintf("%q: %v", quotable(n.Value), err), "paths are relative to the folder of this file")
	case !info.IsDir():
		d.add(n, at, fmt.Sprintf("%q is not a folder", quotable(n.Value)), "name the folder around it, "+filepath.Dir(n.Value))
	}
}

// checkStage compares the keys of one stage.
func checkStage(d *decoder, n *yaml.Node, at string, s *Stage) {
	given := func(name string) (Pos, string, bool) {
		path := Key(at, name)
		pos, ok := d.places[path]
		return pos, path, ok
	}
	if pos, path, ok := given("output"); ok && (s.Mode == "native" || s.Mode == "loop") {
		d.addAt(pos, path, "is only for commands, and mode is "+s.Mode, "leave it out, or write mode: command")
	}
	if pos, path, ok := given("isolation"); ok && s.Isolation == "message" && s.Mode == "loop" {
		d.addAt(pos, path, "a loop goes on from message to message", "write isolation: none")
	}
	if pos, path, ok := given("isolation"); ok && s.Isolation == "none" && s.Mode == "command" {
		d.addAt(pos, path, "a command begins anew for each message", "leave it out")
	}
	checkGrant(d, s, given)
}

// checkGrant holds folders and their grant together. Who grants nothing in
// particular grants the folders by naming them.
func checkGrant(d *decoder, s *Stage, given func(string) (Pos, string, bool)) {
	pos, path, explicit := given("grant")
	has := slices.Contains(s.Grant, "folders")
	switch {
	case len(s.Folders) > 0 && !has && !explicit:
		s.Grant = append(s.Grant, "folders")
	case len(s.Folders) > 0 && !has:
		at, name, _ := given("folders")
		d.addAt(at, name, "grant does not have folders", "add folders to grant")
	case len(s.Folders) == 0 && has:
		if _, _, ok := given("folders"); !ok {
			d.addAt(pos, path, "grants folders and names none", "add folders: {NAME: FOLDER}")
		}
	}
}
