//go:build !unix

package tlsstream

func (s *socket) holds() bool { return s.out.buffer != nil }
