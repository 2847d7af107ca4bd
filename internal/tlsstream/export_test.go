package tlsstream

// Writing says whether a long Write is under way.
func (s *Stream) Writing() bool { return s.calls.Load() > 1 }

// Holds says whether the stream has a buffer. Nothing may be under way.
func (s *Stream) Holds() bool { return s.below.holds() }
