package config

import "testing"

func TestParseStoreURL(t *testing.T) {
	for url, want := range map[string]string{
		"nats://a":                     "nats://a:4222",
		"nats://a:1,b,10.0.0.1:65535":  "nats://a:1,nats://b:4222,nats://10.0.0.1:65535",
		"tls://a.example.org,tls://b":  "tls://a.example.org:4222,tls://b:4222",
		"nats://[::1],[2001:db8::1]:1": "nats://[::1]:4222,nats://[2001:db8::1]:1",
	} {
		if got, err := parseStoreURL(url); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
	for _, bad := range []string{
		"", "a:4222", "http://a", "ws://a", "nats:a", "nats://", "nats://a,", "nats://a,tls://b", "nats://a:0", "nats://a:", "nats://a b",
		"nats://a, b", "nats://a/x", "nats://a?x=y", "nats://a:b:c", "nats://300.1.1.1", "nats://user@a", "nats://user:password@a", "user:password@a",
	} {
		if got, err := parseStoreURL(bad); err == nil {
			t.Errorf("%s was read as %q", bad, got)
		}
	}
}
