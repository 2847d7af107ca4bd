package config

import "testing"

func TestMasked(t *testing.T) {
	for name, test := range map[string]struct{ src, want string }{
		"nothing to hide":  {`a = "b" # c@d`, `a = "b" # c@d`},
		"empty":            {``, ``},
		"hash":             {`password_hash = "$argon2id$v=19$m=8"`, `password_hash = "******************"`},
		"not a hash":       {`user "a" { password_hash = "hunter 2" }`, `user "a" { password_hash = "********" }`},
		"without quotes":   {"password_hash = hunter2\nx = 1", "password_hash = *******\nx = 1"},
		"without equals":   {`password_hash "hunter2"`, `password_hash "*******"`},
		"other name":       {`pasword_hash = "$argon2id$v"`, `pasword_hash = "***********"`},
		"heredoc":          {"password_hash = <<X\nhunter2\nX\na = 1", "password_hash = <<X\n*******\nX\na = 1"},
		"parentheses":      {"password_hash = (\n\"hunter2\"\n)\na = 1", "password_hash = (\n\"*******\"\n)\na = 1"},
		"forgotten quote":  {"password_hash = \"hunter2\n}\n", "password_hash = \"*******\n*\n"},
		"file":             {`password_hash = file("ann.hash")`, `password_hash = file("ann.hash")`},
		"file and more":    {`password_hash = "${file("ann.hash")}hunter2"`, `password_hash = "${file("ann.hash")}*******"`},
		"in a URL":         {`url = "nats://ann:p@ss@host"`, `url = "nats://********@host"`},
		"no scheme":        {`url = "ann:pass@host"`, `url = "********@host"`},
		"of several":       {`url = "nats://a:b@c,d:e@f"`, `url = "nats://*********@f"`},
		"URL of that name": {`uri = "tls://ann:pass@host"`, `uri = "tls://********@host"`},
		"key":              {`aes_key = "000102030405060708090a0b0c0d0e0F"`, `aes_key = "********************************"`},
		"longer key":       {"k = 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f", "k = ****************************************************************"},
		"no key":           {`k = "000102030405060708090a0b0c0d0e0f00"`, `k = "000102030405060708090a0b0c0d0e0f00"`},
		"mail address":     {`user "ann@example.org" {}`, `user "ann@example.org" {}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(masked([]byte(test.src), "x.hcl")); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
