package host

// DefaultLimits are the limits where nothing else is said.
var DefaultLimits = Limits{}.withDefaults()

// ContextKeys are the keys of ctx_get.
func ContextKeys() []string {
	var keys []string
	for k := range contextKeys {
		keys = append(keys, k)
	}
	return keys
}

// Operations are the names that call knows.
func Operations() []string {
	var names []string
	for n := range operations {
		names = append(names, n)
	}
	return names
}
