package fault

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds mta from this checkout into dir.
func Build(dir string) (binary string, err error) { return build(filepath.Join(dir, "mta")) }

func build(binary string, flags ...string) (string, error) {
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, "github.com/wasmta/wasmta/mta")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}
