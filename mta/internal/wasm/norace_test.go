//go:build !race

package wasm

// raceDetector tells whether the tests are built with it.
const raceDetector = false
