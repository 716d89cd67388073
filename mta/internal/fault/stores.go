package fault

// A storeKind is a kind of queue store that runs are played against.
type storeKind struct {
	needs   func() error     // why it cannot be had here; nil: it can
	prepare func(*Run) error // starts it, and sets what pipeline.yaml says of it
}

var stores = map[string]storeKind{
	Spool: {},
}
