// Package interop holds the tests that run Jackfield beside programs which nobody here wrote, on loopback: xinetd and GNU
// inetutils' inetd as TCPMUX servers. They are installed by "make peers" and found through $JACKFIELD_PEERS; without them
// the tests are skipped, or fail where $CI is "true".
//
//	go test ./test/interop -update   # write what was measured into docs/protocols/tcpmux.md
package interop
