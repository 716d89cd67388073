package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// maxBuildLines is how many of the compiler's lines an error repeats.
const maxBuildLines = 20

// A job is one plugin that is being built.
type job struct {
	lang      *language
	dir       string   // the plugin's folder, absolute
	tmp       string   // a folder for this build alone, absolute; empty while inputs are looked for
	goCommand string   // empty: the one in PATH
	env       []string // beside the server's own environment
	outside   []string // files beyond dir that the compiler read, as far as it says so
	tools     []string // where those are that were found
}

// out is the file that a build leaves the module in.
func (j *job) out() string { return filepath.Join(j.tmp, "plugin.wasm") }

// need finds a tool, or says in a [*MissingError] where it is to be had.
func (j *job) need(ctx context.Context, t tool) (string, error) {
	path := t.find(ctx, j.dir)
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("build plugin %s: %w", j.dir, err)
	}
	if path == "" {
		return "", t.missing(j)
	}
	if !slices.Contains(j.tools, path) {
		j.tools = append(j.tools, path)
	}
	return path, nil
}

// run runs a program in the plugin's folder, and gives its output. What it says
// of a mistake is a [*BuildError].
func (j *job) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = j.dir
	cmd.Env = append(os.Environ(), j.env...)
	cmd.Env = append(cmd.Env, "PWD="+j.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("build plugin %s: %w", j.dir, ctx.Err())
	case exited:
		text := j.plain(stderr.String())
		if j.lang.place != nil {
			text = j.lang.place(text)
		}
		return nil, &BuildError{Folder: j.dir, Output: compilerLines(text)}
	}
	return nil, fmt.Errorf("build plugin %s: %w", j.dir, err)
}

// plain names files as the author does, from the plugin's folder, and those of
// the SDK as sdk does.
func (j *job) plain(s string) string {
	const sep = string(filepath.Separator)
	if j.tmp != "" {
		s = strings.ReplaceAll(s, j.tmp+sep, "")
	}
	return strings.ReplaceAll(s, j.dir+sep, "")
}

// A BuildError is what a compiler says of a plugin's source.
type BuildError struct {
	Folder string
	Output string // the compiler's lines, at most maxBuildLines; the first has the place
}

// Error implements error. It has several lines: the compiler's own.
func (e *BuildError) Error() string {
	return "build plugin " + e.Folder + ":\n" + e.Output
}

// compilerLines are the lines that say what is wrong.
func compilerLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "# ") || strings.HasPrefix(l, "go: downloading ")
	})
	if more := len(lines) - maxBuildLines; more > 0 {
		lines = append(lines[:maxBuildLines], fmt.Sprintf("and %d more lines", more))
	}
	return strings.Join(lines, "\n")
}
