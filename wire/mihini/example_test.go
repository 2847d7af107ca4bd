package mihini_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"jackfield/wire/mihini"
)

// A device with an echo service, and a server that uses it.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	service, address := echoService()
	defer service.Close()

	near, far := net.Pipe()
	device := mihini.NewDevice(far, mihini.DeviceOptions{
		Allow: func(asked string) error {
			if asked != address.String() {
				return errors.New("not offered")
			}
			return nil
		},
		Refused: func(_ mihini.Target, err error) { fmt.Println("refused:", err) },
	})
	running.Go(func() { device.Run(ctx) })

	server, err := mihini.Accept(ctx, near, mihini.ServerOptions{CloseDelay: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	running.Go(func() { server.Run(ctx) })

	for _, name := range []string{"echo", "ssh"} {
		target := mihini.Target{Address: "127.0.0.1", Port: 22}
		if name == "echo" {
			target.Port = address.Port()
		}
		stream, err := server.Open(ctx, target)
		if err != nil {
			fmt.Println(err)
			return
		}
		io.WriteString(stream, "hello, world")
		stream.CloseWrite()
		reply, _ := io.ReadAll(stream)
		fmt.Printf("%s: %q\n", name, reply)
		stream.Close()
	}
	// Unordered output:
	// echo: "hello, world"
	// refused: not offered
	// ssh: ""
}

// echoService sends one connection back what comes.
func echoService() (net.Listener, netip.AddrPort) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(conn, conn)
	}()
	return listener, listener.Addr().(*net.TCPAddr).AddrPort()
}
