package tcpmux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"jackfield/wire/tcpmux"
)

// A server with the one service "echo", and a client that uses it.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()

	for _, name := range []string{"Echo", "chess"} {
		if err := use(listener.Addr().String(), name); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// Echo: hello, world
	// tcpmux: refused: "Service not available"
}

func serve(conn net.Conn) {
	defer conn.Close()
	name, rest, err := tcpmux.ReadName(conn, tcpmux.DefaultNameTimeout)
	if err != nil {
		if errors.Is(err, tcpmux.ErrTooLong) {
			tcpmux.WriteReject(conn, "Service name too long")
		}
		return
	}
	switch tcpmux.Fold(name) {
	case tcpmux.Help:
		tcpmux.WriteHelp(rest, []string{"echo"})
	case "echo":
		if tcpmux.WriteAccept(rest, "") == nil {
			io.Copy(rest, rest)
		}
	default:
		tcpmux.WriteReject(rest, "Service not available")
	}
}

func use(address, name string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	rest, _, err := tcpmux.Open(context.Background(), conn, name)
	if err != nil {
		return err
	}
	io.WriteString(rest, "hello, world")
	rest.(interface{ CloseWrite() error }).CloseWrite()
	reply, err := io.ReadAll(rest)
	fmt.Printf("%s: %s\n", name, reply)
	return err
}
