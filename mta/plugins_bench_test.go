package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

// BenchmarkPluginsInWasm is one message through one stage: a small letter, and
// one with a footer to put under 100 KB of text.
func BenchmarkPluginsInWasm(b *testing.B) {
	letter := mtatest.Defaults
	large := letter
	large.Message = append([]byte(nil), letter.Message...)
	for len(large.Message) < 100<<10 {
		large.Message = append(large.Message, "All work and no play makes Jack a dull boy.\r\n"...)
	}
	for _, bb := range []struct {
		name, plugin, config string
		c                    mtatest.Case
	}{
		{"stamp", "stamp", `{add: {X-Processed-By: "${hostname}"}}`, letter},
		{"stamp with seven values", "stamp", `{add: {X-A: "${queue_id} ${client} ${helo} ${date} ${sender} ${recipient} ${header.subject}"}}`, letter},
		{"rewrite", "rewrite", `{footer: {text: "Sent through hamburger.edu"}}`, letter},
		{"rewrite 100 KB", "rewrite", `{footer: {text: "Sent through hamburger.edu"}}`, large},
		{"route without rules", "route", `{rules: []}`, letter},
		{"route with two rules", "route", `{rules: [{if: {sender: "@spam.example"}, reject: "no"}, {if: {recipient: "bob@hamburger.edu"}, deliver: Bob}]}`, letter},
		{"route with a regular expression", "route", `{rules: [{if: {recipient: "/^(sales|info)@/"}, deliver: Sales}]}`, letter},
	} {
		b.Run(bb.name, func(b *testing.B) { benchmarkPlugin(b, bb.plugin, bb.config, bb.c) })
	}
}

func benchmarkPlugin(b *testing.B, name, yaml string, c mtatest.Case) {
	module := buildOnce(b, name)
	ctx := context.Background()
	rt, err := wasm.NewRuntime(ctx, wasm.Options{Hostname: "mx.hamburger.edu"})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close(ctx)
	config, err := mtatest.ToJSON(yaml)
	if err != nil {
		b.Fatal(err)
	}
	p, err := rt.Load(ctx, wasm.LoadOptions{Name: name, Wasm: module, Config: config, Instances: 1})
	if err != nil {
		b.Fatal(err)
	}
	c.Context.Client.Port = 1
	benchmarkMessage(b, p, c)
}

// benchModules are the plugins that were built for a benchmark.
var benchModules = map[string][]byte{}

func buildOnce(b *testing.B, name string) []byte {
	if benchModules[name] == nil {
		benchModules[name] = buildPlugin(b, filepath.Join("..", "plugins", name))
	}
	return benchModules[name]
}
