package main

import "io"

// Globals are the flags and streams that every command shares.
type Globals struct {
	Pipeline string `help:"The pipeline file." default:"pipeline.yaml" env:"MTA_PIPELINE" placeholder:"FILE"`

	Stdin  io.Reader `kong:"-"`
	Stdout io.Writer `kong:"-"`
	Stderr io.Writer `kong:"-"`
}

// exitError ends the command with a code of its own: 1 when the answer is no,
// 2 for wrong usage. A nil err prints nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
