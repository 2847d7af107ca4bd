package server

import "jackfield/internal/route/command"

// reportSurvivors logs the programs of earlier runs that still live: of a server that was killed, for one that stops ends
// its programs. It leaves them alone.
func (s *Server) reportSurvivors() {
	survivors, err := command.Survivors(s.instance.prefix())
	if err != nil {
		s.log.Warn("programs of earlier runs cannot be looked for", "error", err)
	}
	for _, p := range survivors {
		s.log.Warn("program of an earlier run still lives", "pid", p.PID, "session", p.Session, "service", p.Service)
	}
}
