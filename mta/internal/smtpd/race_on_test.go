//go:build race

package smtpd

// raceDetector tells that the tests run with -race.
const raceDetector = true
