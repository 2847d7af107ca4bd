package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckPasswordHash(t *testing.T) {
	const costs, salt, hash = "m=19456,t=2,p=1", "c2l4dGVlbiBieXRlcyBvaw", "dGhpcnR5LXR3byBieXRlcyBtYWtl"
	phc := func(costs, salt, hash string) string { return "$argon2id$v=19$" + costs + "$" + salt + "$" + hash }
	for _, good := range []string{
		phc(costs, salt, hash), phc("m=8,t=1,p=1", salt, hash), phc("m=262144,t=16,p=16", salt, hash),
		phc(costs, strings.Repeat("A", 11), hash), phc(costs, salt, strings.Repeat("A", 86)),
	} {
		if err := checkPasswordHash(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "hunter2", "$2b$12$abc", "$argon2i$v=19$" + costs + "$" + salt + "$" + hash, "$argon2id$" + costs + "$" + salt + "$" + hash,
		"$argon2id$v=16$" + costs + "$" + salt + "$" + hash, phc(costs, salt, ""), phc(costs, "", hash), phc(costs, salt, hash+"$"),
		phc("m=08,t=1,p=1", salt, hash), phc("m=8,t=0,p=1", salt, hash), phc("m=+8,t=1,p=1", salt, hash), phc("t=1,m=8,p=1", salt, hash),
		phc("m=7,t=1,p=1", salt, hash), phc("m=262145,t=1,p=1", salt, hash), phc("m=800,t=17,p=1", salt, hash), phc("m=800,t=1,p=17", salt, hash),
		phc("m=99999999999999999999,t=1,p=1", salt, hash), phc(costs, salt+"==", hash), phc(costs, "c2l4dGVlbiBieXRlcyBvax", hash),
		phc(costs, "A+_A", hash), phc(costs, salt, hash+"\n"), phc(costs, strings.Repeat("A", 10), hash), phc(costs, salt, strings.Repeat("A", 20)),
		phc(costs, salt, strings.Repeat("A", 88)),
	} {
		if checkPasswordHash(bad) == nil {
			t.Errorf("%q was found right", bad)
		}
	}
}

func TestListsHaveAnEnd(t *testing.T) {
	for source, says := range map[string]string{
		`user "a" { groups = LIST }`:    "100 groups",
		`listener "a" { names = LIST }`: "64 names",
	} {
		var names []string
		for i := range maxGroups + 1 {
			names = append(names, fmt.Sprint("n", i))
		}
		list := "[" + strings.Join(quoteAll(names), ", ") + "]"
		_, problems := Load(write(t, strings.ReplaceAll(source, "LIST", list)))
		var text strings.Builder
		if err := problems.WriteText(&text, false); err != nil || !strings.Contains(text.String(), says) {
			t.Errorf("%s: %v, %s", source, err, text.String())
		}
	}
}
