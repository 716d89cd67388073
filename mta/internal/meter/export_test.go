package meter

// RewriteExactly is Rewrite that has each piece of straight code pay for
// itself when it is run.
func RewriteExactly(wasm []byte, o Options) (*Module, error) { return rewrite(wasm, o, tariff{}) }
