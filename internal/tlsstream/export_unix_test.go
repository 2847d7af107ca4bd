//go:build unix

package tlsstream

func (s *socket) holds() bool { return s.in.buffer != nil || s.out.buffer != nil }
