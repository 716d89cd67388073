package config

import (
	"strings"
	"testing"
)

func TestStoresOfTheQueue(t *testing.T) {
	for url, want := range map[string]string{
		"spool":                    "",
		"redis://127.0.0.1:6379/0": "",
		"redis://127.0.0.1":        "",
		"redis://[::1]":            "",
		"rediss://mta:secret@redis.example:6380/":     "",
		"redis://:secret@redis.example":               "",
		"unix:///run/redis.sock":                      "",
		"unix://mta:secret@/run/redis.sock?db=3":      "",
		"redis+sentinel://h1:26379,h2:26379/mymaster": "",
		"rediss+sentinel://h1:26379/mymaster/1":       "",
		"redis+cluster://u:p@h1:7000,h2:7001,h3:7002": "",
		"redis+cluster://h1:7000/0":                   "",
		"redis":                                       "is not a store",
		"http://127.0.0.1":                            `scheme "http" is not known here`,
		"redis://":                                    "has no host",
		"redis:///":                                   "has no host",
	} {
		_, err := store().parse(url)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want || strings.Contains(got, "secret") {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
