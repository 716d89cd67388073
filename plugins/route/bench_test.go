package main

import (
	"testing"

	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

func BenchmarkRoute(b *testing.B) {
	mtatest.Benchmark(b, mtatest.Case{Config: `
rules:
  - if: {sender: "@spam.example"}
    reject: "no"
  - if: {header: {X-Spam-Flag: "YES"}}
    quarantine: spam
  - if: {recipient: "/^(sales|info)@/"}
    deliver: Sales
  - if: {recipient: "bob@hamburger.edu", size: {under: 1MiB}}
    deliver: Bob`})
}
