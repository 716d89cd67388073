package config

// Options is what checking needs to know of others. The zero Options leaves
// out what it cannot check.
type Options struct {
	LookupEnv func(name string) (string, bool) // nil: os.LookupEnv
	Compile   func(when string) error          // type-checks a condition; nil: not checked
	Password  func(hash string) error          // checks the form of a password hash; nil: not checked
	Demo      func(hash string) bool           // tells whether a hash is that of the demo password; nil: not checked
}

// Load reads the file and checks all that can be checked without starting. The
// Config is nil if there are findings.
func Load(path string, opts Options) (*Config, Findings) {
	return nil, Findings{{File: path, What: "not built yet"}}
}
