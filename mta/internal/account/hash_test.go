package account

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestHash(t *testing.T) {
	hash, err := Hash("Käse 🧀")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash, err)
	}
	if err := CheckHash(hash); err != nil {
		t.Error(err)
	}
	if !Verify(hash, "Käse 🧀") || Verify(hash, "Käse") || Verify(hash, "") || Verify(hash, hash) {
		t.Error("it verifies the wrong password, or not the right one")
	}
	if again, _ := Hash("Käse 🧀"); again == hash {
		t.Error("the same salt twice")
	}
	if _, err := Hash(""); err == nil {
		t.Error("an empty password has a hash")
	}
}

func TestHashesOfOtherPrograms(t *testing.T) {
	// The pipeline file's bob, and the reference implementation's test vector
	// (echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32).
	for hash, password := range map[string]string{
		"$argon2id$v=19$m=19456,t=2,p=1$Qy6w9AGYGLI934WB9qduvQ$U+Pis8LBtGfGwgfzo/34LqBOoe+pJneAqEELqsbq0lc": DemoPassword,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc":            "password",
	} {
		if !Verify(hash, password) {
			t.Errorf("%s does not verify %q", hash, password)
		}
		if IsDemo(hash) != (password == DemoPassword) {
			t.Errorf("IsDemo(%s) is wrong", hash)
		}
	}
}

func TestBadHashes(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, hash := range map[string]string{
		"empty":             "",
		"the password":      "ketchup",
		"bcrypt":            "$2y$10$abcdefghijklmnopqrstuv",
		"argon2i":           "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + key,
		"another version":   "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + key,
		"no version":        "$argon2id$m=8,t=1,p=1$" + salt + "$" + key,
		"too much memory":   "$argon2id$v=19$m=131073,t=1,p=1$" + salt + "$" + key,
		"memory overflow":   "$argon2id$v=19$m=4294967304,t=1,p=1$" + salt + "$" + key,
		"too little memory": "$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + key,
		"too much time":     "$argon2id$v=19$m=8,t=17,p=1$" + salt + "$" + key,
		"no time":           "$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + key,
		"too many threads":  "$argon2id$v=19$m=8,t=1,p=17$" + salt + "$" + key,
		"another order":     "$argon2id$v=19$t=1,m=8,p=1$" + salt + "$" + key,
		"a short salt":      "$argon2id$v=19$m=8,t=1,p=1$c29t$" + key,
		"a short key":       "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$CTFh",
		"no key":            "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"bad base64":        "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key[:42] + "=",
		"more behind it":    "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "$x",
	} {
		if err := CheckHash(hash); err == nil {
			t.Errorf("%s: %s is taken", name, hash)
		}
		if Verify(hash, "") || Verify(hash, "ketchup") {
			t.Errorf("%s: %s verifies", name, hash)
		}
	}
}

func TestDemoAccounts(t *testing.T) {
	d := directory(t, hamburger(), nil)
	got, err := d.DemoAccounts(context.Background())
	if err != nil || !slices.Equal(got, []string{"alice@hamburger.edu"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(cheap)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$Qy6w9AGYGLI934WB9qduvQ$U+Pis8LBtGfGwgfzo/34LqBOoe+pJneAqEELqsbq0lc")
	f.Add("$argon2id$v=19$m=+8,t=01,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.time > maxTime || h.threads > maxThreads || len(h.key) < minKey || len(h.salt) < minSalt {
			t.Fatalf("%q: %+v", s, h)
		}
		again, err := parseHash(h.String())
		if err != nil || again.String() != h.String() {
			t.Fatalf("%q becomes %q: %v", s, h.String(), err)
		}
	})
}
