//go:build unix

// Package examples runs the examples.
package examples

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/test/live"
	"jackfield/wire/mapper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExamples(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		if _, err := exec.LookPath("python3"); err != nil {
			live.Missing(t, "python3", "apt-get install python3")
		}
		testProgram(t, "./authz.py")
	})
	t.Run("shell", func(t *testing.T) { testProgram(t, "./authz.sh") })
	t.Run("go", func(t *testing.T) {
		program := filepath.Join(t.TempDir(), "authz")
		if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./go").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		testProgram(t, program)
	})
}

// testProgram tests the program with this path. Python and shell are run by their first line.
func testProgram(t *testing.T, program string) {
	for name, test := range map[string]func(t *testing.T, program string){
		"decisions":     testDecisions,
		"batch":         testBatch,
		"nothing asked": func(t *testing.T, program string) { ask(t, program, "12") },
		"odd entries":   testOddEntries,
		"forgets":       testForgets,
	} {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// ask has a whole conversation with a program that believes that it is this hour, or knows better if that is empty. It
// sees to it that the program ends with status 0 and does not complain.
func ask(t *testing.T, program, hour string, requests ...mapper.Request) []mapper.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AUTHZ_HOUR=" + hour}
	cmd.Stderr = &complaints
	c := mapper.NewConversation(start(t, cmd), nil)
	if err := c.Greet(); err != nil {
		cancel()
		t.Fatal(err, cmd.Wait())
	}
	answers := c.Ask(requests)
	if status := cmd.ProcessState.ExitCode(); status != 0 || complaints.Len() > 0 {
		t.Errorf("exit status %d, standard error %q", status, &complaints)
	}
	if odd := c.Oddities(); len(odd) > 0 {
		t.Errorf("oddities: %q", odd)
	}
	for i, answer := range answers {
		if answer.Err != nil {
			t.Errorf("request %s: %v", requests[i].ID, answer.Err)
		}
	}
	return answers
}

func start(t *testing.T, cmd *exec.Cmd) mapper.Application {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return struct {
		io.Reader
		io.WriteCloser
		*exec.Cmd
	}{stdout, stdin, cmd}
}

func request(id, address, service string) mapper.Request {
	return mapper.Request{ID: id, Entries: mapper.Entries{
		{Key: "user", Value: "65534:nobody"}, {Key: "addr-ip", Value: address}, {Key: "service", Value: service},
	}}
}

var decisions = []struct {
	name, address, service string
	hours                  []string // an empty one is the time of the test
	allowed                bool
}{
	{"in time", "10.2.0.1", "web", []string{"7", "07", "08", "12", "19"}, true},
	{"out of time", "10.2.0.1", "web", []string{"0", "00", "6", "20", "23"}, false},
	{"at any time", "10.1.255.255", "console.fpga-1", []string{"", "0", "12", "23"}, true},
	{"loopback", "127.0.0.1", "web", []string{"12"}, true},
	{"a service of others", "10.2.0.1", "console.fpga-1", []string{"12"}, false},
	{"a service of nobody", "10.1.0.1", "ssh", []string{"12"}, false},
	{"a foreign address", "192.0.2.7", "web", []string{"12"}, false},
	{"an address that looks alike", "110.1.0.1", "web", []string{"12"}, false},
	{"an IPv6 address", "2001:db8::10.1.0.1", "web", []string{"12"}, false},
	{"no address", "", "web", []string{"12"}, false},
	{"a pattern for an address", "*", "web", []string{"12"}, false},
	{"a pattern for a service", "10.1.0.1", "*", []string{"12"}, false},
	{"a service with blanks around it", "10.1.0.1", " web ", []string{"12"}, false},
}

func testDecisions(t *testing.T, program string) {
	for _, d := range decisions {
		for _, hour := range d.hours {
			answer := ask(t, program, hour, request("1", d.address, d.service))[0]
			if answer.Allowed() != d.allowed || (answer.Text == "") != d.allowed {
				t.Errorf("%s, at %q: %+v", d.name, hour, answer)
			}
		}
	}
}

// testBatch gives one process everything at noon, many times over: more than its pipes hold.
func testBatch(t *testing.T, program string) {
	var requests []mapper.Request
	var allowed []bool
	for range 50 {
		for _, d := range decisions {
			r := request("id "+strconv.Itoa(len(requests)), d.address, d.service)
			r.Entries[0].Value = "1000:" + strings.Repeat("x", 200)
			requests = append(requests, r)
			allowed = append(allowed, d.allowed || d.name == "out of time")
		}
	}
	for i, answer := range ask(t, program, "12", requests...) {
		if answer.Allowed() != allowed[i] {
			t.Errorf("%v: %+v", requests[i], answer)
		}
	}
}

// testOddEntries: what stands in entries that mean nothing to a program changes nothing.
func testOddEntries(t *testing.T, program string) {
	odd := mapper.Entries{
		{Key: "Service", Value: "web"}, {Key: "service ", Value: "web"}, {Key: " addr-ip", Value: "10.1.0.1"},
		{Key: "x service", Value: "service=web"}, {Key: "*", Value: "?"}, {Key: "-n", Value: `\n%s%d\c`},
		{Key: "$(exit 7)", Value: "`exit 7`; exit 7"}, {Key: `\`, Value: `"'\`}, {Key: "é", Value: "\xff\xfe\u2028\v\f\x1c\x85"},
		{Key: "request", Value: "2"}, {Key: "end-of-request", Value: "1"}, {Key: "success", Value: ":"},
		{Key: "note", Value: "end-of-request:1"}, {Key: "empty", Value: ""}, {Key: "long", Value: strings.Repeat("y", 8000)},
	}
	for address, allowed := range map[string]bool{"10.1.0.1": true, "192.0.2.7": false} {
		asked := request(`odd \n id: a=b`, address, "console.fpga-1")
		asked.Entries = slices.Concat(odd, asked.Entries, odd)
		if answer := ask(t, program, "", asked)[0]; answer.Allowed() != allowed {
			t.Errorf("from %s: %+v", address, answer)
		}
	}
}

// testForgets: a request says nothing about the next one.
func testForgets(t *testing.T, program string) {
	answers := ask(t, program, "12", request("1", "10.1.0.1", "console.fpga-1"), mapper.Request{ID: "2"})
	if !answers[0].Allowed() || answers[1].Allowed() {
		t.Errorf("%+v", answers)
	}
}
