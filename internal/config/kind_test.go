package config

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "1k": 1000, "1kB": 1000, "1KiB": 1024, "10MB": 10_000_000, "64MiB": 64 << 20, "2g": 2_000_000_000,
		"1TiB": 1 << 40, "5B": 5, "9223372036854775807": 1<<63 - 1,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "k", "-1", "+1", "1.5k", "1 k", "1kk", "1_000", "0x10", "9223372036854775808", "8388608TiB", "９"} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q was read as %d", bad, got)
		}
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		100 * time.Millisecond: "100ms", time.Second: "1s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		if got := brief(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"mux", "meter"}
	for given, want := range map[string]string{
		"mx": ` Did you mean "mux"?`, "metre": ` Did you mean "meter"?`, "console": "", "x": "", "": "",
	} {
		if got := didYouMean(given, names); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
