package inedo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for name, o := range map[string]Options{
		"no such mode":      {Mode: 3},
		"negative mode":     {Mode: -1},
		"AES without a key": {Mode: ModeAES},
		"SSL without TLS":   {Mode: ModeSSL},
		"TLS 1.1":           {Mode: ModeSSL, TLS: &tls.Config{MinVersion: tls.VersionTLS11}},
		"min > max":         {MinProtocol: V2, MaxProtocol: V1},
		"no such protocol":  {MaxProtocol: 1500},
		"negative data":     {MaxData: -1},
		"negative timeout":  {Timeout: -time.Second},
	} {
		a, c := scripted(), scripted()
		_, agentErr := Accept(t.Context(), a, AgentConfig{Options: o})
		_, clientErr := Handshake(t.Context(), c, ClientConfig{Options: o})
		if !errors.Is(agentErr, ErrConfig) || !errors.Is(clientErr, ErrConfig) {
			t.Errorf("%s: %v, %v", name, agentErr, clientErr)
		}
		if !a.closed || !c.closed || a.out.Len()+c.out.Len() > 0 {
			t.Errorf("%s: closed: %v, %v", name, a.closed, c.closed)
		}
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []Mode{ModeNone, ModeSSL, ModeAES} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s: %v, %v", m, got, err)
		}
	}
	for _, s := range []string{"", "SSL", "tls", "mode 3", "none "} {
		if got, err := ParseMode(s); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestKey(t *testing.T) {
	digits := strings.Repeat("0aF9", 16)
	for _, n := range []int{32, 64} {
		key, err := ParseKey(digits[:n])
		if err != nil || key.IsZero() {
			t.Errorf("%d digits: %v", n, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, value := range []any{key, Options{Key: key}} {
				if printed := strings.ToLower(fmt.Sprintf(verb, value)); strings.Contains(printed, "0af9") || strings.Contains(printed, "[10 249") {
					t.Errorf("%s prints %s", verb, printed)
				}
			}
		}
		if got, want := fmt.Sprint(key), fmt.Sprintf("AES-%d key", 4*n); got != want {
			t.Errorf("printed: %s", got)
		}
	}
	for _, s := range []string{
		"", "0", digits[:30], digits[:31], digits[:33], digits[:48], digits[:63], digits + "00",
		digits[:31] + "g", " " + digits[:31], digits[:32] + "\n", "0x" + digits[:30], digits[:31] + "-",
		strings.Repeat("0a:", 16), digits[:16] + " " + digits[:15],
	} {
		key, err := ParseKey(s)
		if !errors.Is(err, ErrKey) || !key.IsZero() {
			t.Errorf("%q: %v, %v", s, key, err)
		}
		if s != "" && len(s) > 8 && strings.Contains(err.Error(), s[1:8]) {
			t.Errorf("the error shows the text: %v", err)
		}
	}
}
