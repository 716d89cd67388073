package daemon

import (
	"io"
	"log/slog"
	"time"

	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/sdk/host"
)

// surroundings are what a pipeline has around it, beside its file: those of a
// server, or of a run that is the same every time. What is nil is not there,
// but for the clock and the random octets, which are then the real ones.
type surroundings struct {
	observer pipeline.Observer
	tracer   pipeline.Tracer
	log      *slog.Logger
	now      func() time.Time
	random   io.Reader

	// The services of plugins. What a plugin remembers goes by its name, so that
	// its stages share it; what it counts by the stage's.
	kv       func(plugin string) host.KV
	resolver host.Resolver
	metrics  func(stage string) host.Metrics
}
