// Package e2e tests the real program from the outside: the server, the commands and nc, on loopback.
//
// A test is a file testdata/*.txtar, in the language of testscript; adding a test is adding a file. The commands that this
// package adds are listed above the function TestScripts.
package e2e
