package daemon

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

// The file's table of keys imports nothing that it configures, so that some
// words and numbers stand twice.
func TestAStageThatSaysNothingHasTheDefaultsOfTheSandbox(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pipeline.yaml")
	for name, text := range map[string]string{"p.wasm": "", "pipeline.yaml": "hostname: a.example\nplugins: {p: p.wasm}\npipeline: [{plugin: p}]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, findings := config.Load(file, config.Options{})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	s := cfg.Pipeline[0]
	if !slices.Equal(config.Grants, abi.AllGrants.Words()) {
		t.Errorf("the grants of the file are %q, those of the ABI %q", config.Grants, abi.AllGrants.Words())
	}
	if !slices.Equal(s.Grant, abi.DefaultGrants.Words()) {
		t.Errorf("granted %q, want %q", s.Grant, abi.DefaultGrants.Words())
	}
	if s.Fuel != wasm.DefaultFuel || s.HostCalls != wasm.DefaultHostCalls || s.LogOctets != wasm.DefaultLogOctets || s.Memory != wasm.DefaultMemory {
		t.Errorf("fuel %d, calls %d, log %d and memory %d are not those of the sandbox", s.Fuel, s.HostCalls, s.LogOctets, s.Memory)
	}
	if s.Isolation != string(wasm.IsolateMessage) || s.Mode != string(wasm.ModeAuto) {
		t.Errorf("isolation %q and mode %q are not those of the sandbox", s.Isolation, s.Mode)
	}
}

func TestAFileThatSaysNothingHasTheDefaultsOfTheQueue(t *testing.T) {
	def := config.Defaults()
	if got := retryOn(&def.Queue.RetryOn); !maps.Equal(got, queue.DefaultRetryOn) {
		t.Errorf("the schedules of the file are %v, those of the queue %v", got, queue.DefaultRetryOn)
	}
	if def.Queue.Concurrency != queue.DefaultConcurrency || def.Relay.Concurrency != queue.DefaultLaneLimit {
		t.Errorf("%d attempts at once, %d at one next hop", def.Queue.Concurrency, def.Relay.Concurrency)
	}
}
