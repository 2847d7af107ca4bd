// Package soak runs a server and a device of the Mihini protocol against each other over TCP, with everything that goes wrong
// in the field: clients and services that close early, that pause, that read nothing; links that are cut, and devices that
// come back. Each byte that arrives must be the one that was sent at its place.
//
// $JACKFIELD_SOAK is how long that goes on, such as "5m"; without it, 5 s.
package soak
