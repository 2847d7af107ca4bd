package inedo

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestNegotiation(t *testing.T) {
	const big = math.MaxInt32
	for name, row := range map[string]struct {
		first, last int32
		config      AgentConfig
		want        Protocol // 0: refused
		slot        int32
	}{
		"V2":                           {1000, 2000, AgentConfig{}, V2, 2000},
		"V2 only":                      {2000, 2000, AgentConfig{}, V2, 2000},
		"V1":                           {1000, 0, AgentConfig{}, V1, 0},
		"V1, a session ID":             {1000, 77, AgentConfig{}, V1, 0},
		"V1, a negative session ID":    {1000, -1, AgentConfig{}, V1, 0},
		"highest version in between":   {1000, 1500, AgentConfig{}, V1, 0},
		"newer than we are":            {1000, 3000, AgentConfig{}, V2, 2000},
		"newest":                       {2000, big, AgentConfig{}, V2, 2000},
		"lowest version in between":    {1500, 2500, AgentConfig{}, V2, 2000},
		"nothing in between":           {1500, 1800, AgentConfig{}, 0, 0},
		"all newer":                    {2001, 3000, AgentConfig{}, 0, 0},
		"min > max":                    {2000, 1000, AgentConfig{}, 0, 0},
		"min > max, both high":         {3000, 2000, AgentConfig{}, 0, 0},
		"zeros":                        {0, 0, AgentConfig{}, 0, 0},
		"from zero":                    {0, 2000, AgentConfig{}, 0, 0},
		"negative":                     {-1000, 2000, AgentConfig{}, 0, 0},
		"both negative":                {-2000, -1000, AgentConfig{}, 0, 0},
		"least":                        {math.MinInt32, big, AgentConfig{}, 0, 0},
		"agent of V1":                  {1000, 2000, AgentConfig{Options: Options{MaxProtocol: V1}}, V1, 1000},
		"agent of V1, client of V2":    {2000, 2000, AgentConfig{Options: Options{MaxProtocol: V1}}, 0, 0},
		"agent of V2, client of V1":    {1000, 0, AgentConfig{Options: Options{MinProtocol: V2}}, 0, 0},
		"exact, V2":                    {1000, 2000, AgentConfig{ExactRequest: true}, V2, 2000},
		"exact, V1":                    {1000, 999, AgentConfig{ExactRequest: true}, V1, 0},
		"exact, a session ID too high": {1000, 1000, AgentConfig{ExactRequest: true}, 0, 0},
		"exact, newer":                 {1000, 2001, AgentConfig{ExactRequest: true}, 0, 0},
		"exact, V2 only":               {2000, 2000, AgentConfig{ExactRequest: true}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(request(row.first, row.last))
			c, err := Accept(t.Context(), conn, row.config)
			if row.want == 0 {
				if !errors.Is(err, ErrVersion) || conn.out.Len() > 0 || !conn.closed {
					t.Fatalf("%v, %d bytes, closed: %v", err, conn.out.Len(), conn.closed)
				}
				return
			}
			if err != nil || c.Protocol() != row.want || c.Reply().Slot != row.slot {
				t.Fatalf("%+v, %v", c, err)
			}
			if !bytes.Equal(conn.out.Bytes(), answer(row.slot, DefaultMajor)) || conn.writes != 1 {
				t.Errorf("replied %x in %d writes", conn.out.Bytes(), conn.writes)
			}
		})
	}
}

func TestClientChoosesProtocol(t *testing.T) {
	for name, row := range map[string]struct {
		config      ClientConfig
		slot, major int32
		want        Protocol // 0: refused
	}{
		"V2":                              {ClientConfig{}, 2000, 43, V2},
		"V1":                              {ClientConfig{}, 1000, 51, V1},
		"a session ID":                    {ClientConfig{}, 7, 40, V1},
		"a session ID that is returned":   {ClientConfig{}, 2000, 42, V1},
		"an agent of unknown version":     {ClientConfig{}, 2000, 0, V1},
		"which is taken at its word":      {ClientConfig{AnyVersion: true}, 2000, 0, V2},
		"an unknown protocol":             {ClientConfig{}, 1500, 51, V1},
		"a negative one":                  {ClientConfig{}, -2000, 51, V1},
		"V2 wanted":                       {ClientConfig{Options: Options{MinProtocol: V2}}, 2000, 51, V2},
		"V2 wanted, V1 answers":           {ClientConfig{Options: Options{MinProtocol: V2}}, 1000, 51, 0},
		"V2 wanted, old agent":            {ClientConfig{Options: Options{MinProtocol: V2}}, 2000, 42, 0},
		"V1 wanted":                       {ClientConfig{Options: Options{MaxProtocol: V1}}, 0, 51, V1},
		"V1 wanted, session ID like V2":   {ClientConfig{Options: Options{MaxProtocol: V1}}, 2000, 51, V1},
		"V1 wanted, taken at its word":    {ClientConfig{Options: Options{MaxProtocol: V1}, AnyVersion: true}, 2000, 51, V1},
		"V2 wanted, taken at its word":    {ClientConfig{Options: Options{MinProtocol: V2}, AnyVersion: true}, 2000, 1, V2},
		"V2 wanted, and something else":   {ClientConfig{Options: Options{MinProtocol: V2}}, 3000, 51, 0},
		"a version that became negative?": {ClientConfig{}, 2000, -1, V1},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(answer(row.slot, row.major))
			c, err := Handshake(t.Context(), conn, row.config)
			switch {
			case row.want == 0:
				if !errors.Is(err, ErrVersion) || !conn.closed {
					t.Errorf("%v, closed: %v", err, conn.closed)
				}
			case err != nil || c.Protocol() != row.want:
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func TestWrongID(t *testing.T) {
	straight := append(append([]byte(nil), protocolID[:]...), request(1000, 2000)[16:]...)
	for name, row := range map[string]struct {
		sent   []byte
		config AgentConfig
		fine   bool
	}{
		"zeros":           {sent: make([]byte, 24)},
		"HTTP":            {sent: []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
		"TLS":             {sent: unhex("1603010200010001fc0303000000000000000000000000000000000000000000")},
		"ID only":         {sent: make([]byte, 16)},
		"straight":        {sent: straight},
		"straight, taken": {sent: straight, config: AgentConfig{StraightID: true}, fine: true},
		"swapped, taken":  {sent: request(1000, 2000), config: AgentConfig{StraightID: true}, fine: true},
	} {
		t.Run(name, func(t *testing.T) {
			conn := scripted(row.sent)
			_, err := Accept(t.Context(), conn, row.config)
			switch {
			case row.fine && err != nil:
				t.Error(err)
			case !row.fine && (!errors.Is(err, ErrProtocolID) || conn.out.Len() > 0 || !conn.closed):
				t.Errorf("%v, %d bytes, closed: %v", err, conn.out.Len(), conn.closed)
			}
		})
	}
	for i := range 16 {
		wrong := request(1000, 2000)
		wrong[i] ^= 0x20
		if _, err := Accept(t.Context(), scripted(wrong), AgentConfig{}); !errors.Is(err, ErrProtocolID) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}
