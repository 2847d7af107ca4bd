package inedo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"jackfield/wire/inedo"
)

// An agent that says where its files are, and a client that asks. In earnest, use ModeSSL.
func Example() {
	key, err := inedo.ParseKey("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		fmt.Println(err)
		return
	}
	options := inedo.Options{Mode: inedo.ModeAES, Key: key}
	near, far := net.Pipe()

	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { fmt.Println("agent:", serve(far, options)) })

	conn, err := inedo.Handshake(context.Background(), near, inedo.ClientConfig{Options: options})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	question, _ := inedo.Marshal(inedo.GetAgentRootPath{Type: inedo.Otter})
	conn.Send(inedo.CommandGetAgentRootPath, question)
	message, err := conn.Receive()
	if err != nil {
		fmt.Println(err)
		return
	}
	var answer inedo.AgentRootPath
	err = inedo.Unmarshal(message.Data, &answer)
	fmt.Println("client:", conn.Reply().Version, answer.Path, err)
	// Output:
	// client: 51.0.0.0 /var/tmp/otter <nil>
	// agent: EOF
}

// serve answers until the client ends the connection.
func serve(tcp net.Conn, options inedo.Options) error {
	conn, err := inedo.Accept(context.Background(), tcp, inedo.AgentConfig{Options: options})
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		message, err := conn.Receive()
		if errors.Is(err, inedo.ErrDecrypt) {
			continue // as for an unknown command, so that nobody learns why
		} else if err != nil {
			return err
		}
		var question inedo.GetAgentRootPath
		if message.Command != inedo.CommandGetAgentRootPath || inedo.Unmarshal(message.Data, &question) != nil {
			continue
		}
		answer, _ := inedo.Marshal(inedo.AgentRootPath{Path: "/var/tmp/" + question.Type.String()})
		if err := conn.Send(message.Command, answer); err != nil {
			return err
		}
	}
}
