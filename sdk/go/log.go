package mta

import (
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Debug logs a text and what belongs to it, key and value in turn. The server
// adds the plugin's name and the queue ID. Never log content or passwords.
func Debug(text string, pairs ...string) { logLine(abi.LevelDebug, text, pairs) }

// Info is [Debug] for what an operator wants to see.
func Info(text string, pairs ...string) { logLine(abi.LevelInfo, text, pairs) }

// Warn is [Debug] for what should not be.
func Warn(text string, pairs ...string) { logLine(abi.LevelWarn, text, pairs) }

// Error is [Debug] for what an operator has to mend.
func Error(text string, pairs ...string) { logLine(abi.LevelError, text, pairs) }

// A Level is how much a line of the log matters.
type Level = abi.Level

// The levels of [Enabled].
const (
	LevelDebug = abi.LevelDebug
	LevelInfo  = abi.LevelInfo
	LevelWarn  = abi.LevelWarn
	LevelError = abi.LevelError
)

// Enabled tells whether lines of that level are kept, for those that cost
// something to compose.
func Enabled(level Level) bool { return guest.LogEnabled(int32(level)) == 1 }

func logLine(level abi.Level, text string, pairs []string) {
	if guest.LogEnabled(int32(level)) == 0 {
		return
	}
	if len(pairs) == 0 {
		guest.Log(int32(level), text)
		return
	}
	b := append(make([]byte, 0, 256), text...)
	for i, s := range pairs {
		if i%2 == 0 {
			b = append(append(b, ' '), s...)
			continue
		}
		b = append(b, '=')
		if s == "" || strings.ContainsAny(s, " \t\r\n\"=") {
			b = strconv.AppendQuote(b, s)
		} else {
			b = append(b, s...)
		}
	}
	guest.Log(int32(level), string(b))
}
