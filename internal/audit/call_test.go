package audit

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"jackfield"
)

func sampleCall() *Call {
	return &Call{
		Request: jackfield.Request{
			ID: "k3vq-1-a", Listener: "web", Protocol: "https",
			Source:   netip.MustParseAddrPort("192.0.2.7:4711"),
			Local:    netip.MustParseAddrPort("127.0.0.1:443"),
			Identity: jackfield.Identity{User: "root", Proof: jackfield.ProofToken},
		},
		Token: "t7", Method: "DELETE", Path: "/api/v1/users/{name}", Status: 204,
		Duration: 250 * time.Millisecond, Target: "user ada",
	}
}

func TestACallHasTheDocumentedFieldsInOrder(t *testing.T) {
	path, log := open(t, Options{})
	log.Called(sampleCall())
	const want = `{"event":"call","time":"T","id":"k3vq-1-a","listener":"web","protocol":"https","source":"192.0.2.7:4711",` +
		`"local":"127.0.0.1:443","user":"root","groups":[],"proof":"token","token":"t7","method":"DELETE",` +
		`"path":"/api/v1/users/{name}","status":204,"duration_seconds":0.25,"target":"user ada","details":"","end":""}` + "\n"
	got := regexp.MustCompile(`"time":"[^"]+"`).ReplaceAllString(read(t, path), `"time":"T"`)
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// Whoever has no token can make calls that fail, as fast as the network is.
func TestCallsThatFailAreRecordedUpToARate(t *testing.T) {
	path, log := open(t, Options{})
	log.refusals = rate.NewLimiter(0, 2)
	for range 5 {
		c := sampleCall()
		c.Status = 401
		log.Called(c)
	}
	log.Called(sampleCall())
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text := read(t, path)
	if failed, done := strings.Count(text, `"status":401`), strings.Count(text, `"status":204`); failed != 2 || done != 1 {
		t.Errorf("%d calls that failed and %d others are recorded, want 2 and 1:\n%s", failed, done, text)
	}
	if !strings.Contains(text, `"event":"suppressed"`) || !strings.Contains(text, `"records":3}`) {
		t.Errorf("3 suppressed calls are not told:\n%s", text)
	}
}

// A memory keeps what a sink is given.
type memory struct{ text strings.Builder }

func (m *memory) Add(line []byte) { m.text.Write(line) }

func TestTheSinkIsGivenWhatTheFileHas(t *testing.T) {
	sink := new(memory)
	path, log := open(t, Options{Sink: sink})
	log.refusals = rate.NewLimiter(0, 1)
	if err := log.Opened(sample("1")); err != nil {
		t.Fatal(err)
	}
	disk := breakDisk(log, 10)
	for range maxWaiting + 3 {
		log.Closed(sample("waits"))
	}
	if err := log.Opened(sample("refused")); err == nil {
		t.Fatal("a session opened on a full disk")
	}
	if want := read(t, path); sink.text.String() != want {
		t.Errorf("on a full disk the sink was given %q, the file has %q", sink.text.String(), want)
	}
	disk.broken = false
	log.Called(sampleCall())
	log.Refused(sample("2"))
	log.Refused(sample("3"))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	want := read(t, path)
	for _, event := range []string{"open", "close", "call", "refuse", "lost", "suppressed"} {
		if !strings.Contains(want, `{"event":"`+event+`"`) {
			t.Errorf("the file has no line %q", event)
		}
	}
	if got := sink.text.String(); got != want {
		t.Errorf("the sink was given %d bytes, the file has %d", len(got), len(want))
	}
}
