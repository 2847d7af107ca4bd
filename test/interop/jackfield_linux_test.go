package interop

import "testing"

func startJackfield(t *testing.T) *server { return nil }
