package main

import (
	"testing"

	"github.com/wasmta/wasmta/sdk/go/mtatest"
)

func TestCases(t *testing.T) { mtatest.RunDir(t, "testdata") }

func TestReadme(t *testing.T) { mtatest.CheckReadme(t, "README.md", config{}) }
