package mapper_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"jackfield/wire/mapper"
)

// A whole application, but for its standard input, which a program would read from os.Stdin.
func ExampleServe() {
	stdin := strings.NewReader("version:1\nrequest:7\nuser=45678:jbrown\naddr-ip=192.0.2.2\nend-of-request:7\n")

	err := mapper.Serve(context.Background(), stdin, os.Stdout,
		func(_ context.Context, r mapper.Request) mapper.Response {
			if address, _ := r.Entries.Get("addr-ip"); !strings.HasPrefix(address, "10.") {
				return mapper.Response{Text: "not allowed from that subnet."}
			}
			return mapper.Response{Success: true}
		})
	if err != nil {
		os.Exit(1)
	}
	// Output:
	// version:1
	// request:7
	// failure:not allowed from that subnet.
}

// A server starts a program, asks about two users, and gives it a minute.
func ExampleConversation() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[0]) // this test, which can be an application
	program.Env = append(os.Environ(), "MAPPER_APPLICATION=1")
	stdin, _ := program.StdinPipe()
	stdout, _ := program.StdoutPipe()
	if err := program.Start(); err != nil {
		fmt.Println(err)
		return
	}
	c := mapper.NewConversation(struct {
		io.Reader
		io.WriteCloser
		*exec.Cmd
	}{stdout, stdin, program}, nil)
	if err := c.Greet(); err != nil {
		fmt.Println(err)
		cancel()
		program.Wait()
		return
	}
	answers := c.Ask([]mapper.Request{
		{ID: "1", Entries: mapper.Entries{{Key: "user", Value: "1000:jane"}}},
		{ID: "2", Entries: mapper.Entries{{Key: "user", Value: "1001:john"}}},
	})
	for _, answer := range answers {
		fmt.Printf("%t %q %v\n", answer.Allowed(), answer.Text, answer.Err)
	}
	// Output:
	// true "welcome" <nil>
	// false "not on the list" <nil>
}
