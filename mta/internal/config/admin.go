package config

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Admin says who may operate the server from elsewhere.
type Admin struct {
	Tokens  []AdminToken // of those who may do everything; in the order of the file
	Readers []AdminToken // of those who may look only
}

// An AdminToken lets whoever has it call the API.
type AdminToken struct {
	Name string // of the operator, for the log
	Hash Secret // `sha256:` and 64 hexadecimal digits, or `$argon2id$…`
}

const wantToken = "sha256: and the 64 digits that `printf %s TOKEN | sha256sum` prints"

func adminKeys() object[Admin] {
	hash := scalar[Secret]{
		words: "hash of a token", want: wantToken, fill: asIs,
		schema: schema{Pattern: `^(sha256:[0-9a-fA-F]{64}|\$argon2id\$.+|\$\{.+|file:.+)$`}, parse: parseTokenHash,
	}
	tokens := dict[AdminToken]{what: "a name", want: "a name such as alice", name: tokenName, elem: part(hash, func(t *AdminToken) *Secret { return &t.Hash })}
	return object[Admin]{keys: []key[Admin]{
		field("tokens", tokens,
			func(a *Admin) *[]AdminToken { return &a.Tokens },
			"Who may call the API at the `http` listeners, each by the hash of a token of at least 128 random bits, such as `openssl rand -hex 32` prints: `sha256:` and what `printf %s TOKEN | sha256sum` says. The log names who did what. Without tokens the API is not there, and the admin socket is the way in."),
		field("readers", tokens, func(a *Admin) *[]AdminToken { return &a.Readers },
			"The same for those who look only: they see messages and statistics, but change nothing and read no content."),
	}}
}

func tokenName(_ *Options, name string) (AdminToken, string, error) {
	if !isPlain(name) {
		return AdminToken{}, "", &unitError{fmt.Sprintf("%q is not a name", quotable(name)), "write letters, digits, - and _"}
	}
	return AdminToken{Name: name}, name, nil
}

func parseTokenHash(s string) (Secret, error) {
	if strings.HasPrefix(s, "$argon2id$") {
		return Secret(s), nil
	}
	digits, ok := strings.CutPrefix(s, "sha256:")
	if sum, err := hex.DecodeString(digits); !ok || err != nil || len(sum) != 32 {
		return "", &unitError{"is not the hash of a token", "write " + wantToken}
	}
	return Secret(s), nil
}
