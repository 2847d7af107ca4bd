package tlsstream

// errNothing is what an eager Read fails with that would have to wait. crypto/tls goes on after an error that is temporary.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "there is nothing to be read" }
func (nothing) Timeout() bool   { return false }
func (nothing) Temporary() bool { return true }
