//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jackfield/bench/backend"
	"jackfield/bench/compare"
	"jackfield/bench/fleet"
	"jackfield/bench/gate"
	"jackfield/bench/peer"
	"jackfield/test/live"
)

// TestMain lets the test binary be its own backend and its own agents, as the benchmark's binary is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == backend.Command || os.Args[1] == fleet.Command) {
		main()
		return
	}
	os.Exit(m.Run())
}

func bench(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetOut(&out)
	cmd.SetErr(t.Output())
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestQuickRelay runs the whole scenario with haproxy and its twin.
func TestQuickRelay(t *testing.T) {
	if err := (peer.HAProxy{}).Installed(); err != nil {
		live.Missing(t, "haproxy", "run bench/peers.sh as root")
	}
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "relay", "--quick", "--peers", "haproxy", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HAProxy version", "haproxy" + twin, "download, 32 connections", "half-close, service first", "5/5"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	for _, run := range saved.Runs {
		if len(run.Result.Failures) > 0 {
			t.Errorf("as %s samples failed: %q", run.User, run.Result.Failures)
		}
		for _, row := range run.Result.Rows {
			if a, b := len(row.Values("haproxy")), len(row.Values("haproxy"+twin)); a != 2 || b != 2 {
				t.Errorf("as %s, %s: %d and %d samples, want 2 and 2", run.User, row.Metric.Name, a, b)
			}
		}
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// open makes a temporary directory that the user nobody can reach too; the test's own is for the test's user alone.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWrongUse(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown peer", []string{"relay", "--peers", "frp"}, "there is nginx"},
		{"unknown measure", []string{"relay", "--only", "bulk7"}, "there is bulk1"},
		{"unknown measure of tcpmux", []string{"tcpmux", "--only", "bulk1"}, "there is cat"},
		{"unknown measure of mapper", []string{"mapper", "--only", "cat"}, "there is latency"},
		{"unknown measure of tunnel", []string{"tunnel", "--only", "bulk32"}, "there is bulk1"},
		{"unknown measure of store", []string{"store", "--only", "bulk1"}, "there is write"},
		{"unknown measure of connect", []string{"connect", "--only", "bulk1"}, "there is down1"},
		{"unknown measure of agent", []string{"agent", "--only", "cat"}, "there is bulk1"},
		{"no rounds", []string{"relay", "--rounds", "0"}, "--rounds"},
		{"binary that is not there", []string{"relay", "--peers", "jackfield", "--binary", "/nonexistent"}, "/nonexistent"},
	} {
		if _, err := bench(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestOnlyJackfieldsGatesDecide(t *testing.T) {
	failed := gate.Result{Gate: "half-close", Passed: 99, Tries: 100, Failure: "cut"}
	passed := gate.Result{Gate: "half-close", Passed: 100, Tries: 100}
	r := report{Runs: []run{{User: "nobody", Gates: []gateResult{{"socat", failed}, {judged, passed}}}}}
	if err := r.verdict(); err != nil {
		t.Errorf("a peer's failure is ours: %v", err)
	}
	r.Runs[0].Gates = append(r.Runs[0].Gates, gateResult{judged, failed})
	if err := r.verdict(); err == nil || !strings.Contains(err.Error(), "99 of 100") {
		t.Errorf("the verdict on a failed gate is %v", err)
	}
}

func TestSelection(t *testing.T) {
	keys, err := selectKeys([]string{"rtt1", "gates"}, relayKeys())
	if err != nil {
		t.Fatal(err)
	}
	size := relaySize{keys: keys, tries: 1, checksum: 1 << 20}
	var got []string
	for _, m := range size.measures() {
		got = append(got, m.Key)
	}
	if !slices.Equal(got, []string{"rtt1"}) || len(size.gates()) != 6 {
		t.Errorf("selected %v and %d gates", got, len(size.gates()))
	}
}

// TestQuickTCPMUX runs the whole scenario with all of its peers.
func TestQuickTCPMUX(t *testing.T) {
	if os.Geteuid() != 0 {
		live.Missing(t, "root's rights", "the tcpmux scenario starts servers that change users: run it as root")
	}
	if err := installed([]peer.Peer{peer.Xinetd{}, peer.Inetutils{}}); err != nil {
		live.Missing(t, "peers", err.Error())
	}
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "tcpmux", "--quick")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"xinetd" + twin, "name and /bin/cat, 4 at a time", "Ratios to inetutils-inetd"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	if strings.Contains(out, "could not be taken") {
		t.Errorf("samples failed:\n%s", out)
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// TestQuickMapper runs the whole scenario: every sample can be taken, and no program is left.
func TestQuickMapper(t *testing.T) {
	if err := (peer.JackfieldMapper{}).Installed(); err != nil {
		live.Missing(t, "Python", err.Error())
	}
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "mapper", "--quick", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"; Python 3.", "Latency of a decision, as ", "warm = 2", "left running"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, run := range saved.Runs {
		if len(run.Result.Failures) > 0 {
			t.Errorf("%s: samples failed: %q", run.Title, run.Result.Failures)
		}
		for _, row := range run.Result.Rows {
			rows++
			for _, name := range run.Result.Contestants {
				if n := len(row.Values(name)); n != 2 {
					t.Errorf("%s, %s: %d samples, want 2", row.Metric.Name, name, n)
				}
			}
		}
	}
	if gates := saved.Runs[len(saved.Runs)-1].Gates; rows != 7 || len(gates) != 2 {
		t.Errorf("%d rows and %d gates, want 7 and 2", rows, len(gates))
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// TestQuickTunnel runs the whole scenario with the peers that there are.
func TestQuickTunnel(t *testing.T) {
	if err := (peer.SSH{}).Installed(); err != nil {
		live.Missing(t, "sshd", err.Error())
	}
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "tunnel", "--quick", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OpenSSH", "ssh -R, encrypted" + twin, "jackfield, not encrypted", "Mihini link does neither"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	if len(saved.Runs) != 1 || len(saved.Runs[0].Result.Rows) != 7 {
		t.Fatalf("the file holds %s", text)
	}
	result := saved.Runs[0].Result
	if len(result.Failures) > 0 {
		t.Errorf("samples failed: %q", result.Failures)
	}
	if (peer.Chisel{}).Installed() == nil && !slices.Contains(result.Contestants, (peer.Chisel{}).Name()) {
		t.Errorf("chisel is there, but not among %q", result.Contestants)
	}
	for _, row := range result.Rows {
		for _, name := range result.Contestants {
			if n := len(row.Values(name)); n != 2 {
				t.Errorf("%s, %s: %d samples, want 2", row.Metric.Name, name, n)
			}
		}
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// TestQuickAgent runs the whole scenario with the peers that there are.
func TestQuickAgent(t *testing.T) {
	if err := (peer.SSH{}).Installed(); err != nil {
		live.Missing(t, "sshd", err.Error())
	}
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "agent", "--quick", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{twin, "jackfield, TLS", "jackfield, plain", "## Plain", "per idle stream, of 20, agent", "per connection kept ready"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	first := saved.Runs[0].Result
	for _, p := range []peer.Peer{peer.FRP{}, peer.Chisel{}} {
		if p.Installed() == nil && !slices.Contains(first.Contestants, p.Name()) {
			t.Errorf("%s is there, but not among %q", p.Name(), first.Contestants)
		}
	}
	for k, run := range saved.Runs {
		if len(run.Result.Failures) > 0 {
			t.Errorf("%s: samples failed: %q", run.Title, run.Result.Failures)
		}
		want := 12
		if k == len(saved.Runs)-1 { // idle agents
			want = 2
		}
		if len(run.Result.Rows) != want {
			t.Errorf("%s: %d rows, want %d", run.Title, len(run.Result.Rows), want)
		}
		for _, row := range run.Result.Rows {
			for _, name := range run.Result.Contestants {
				if n := len(row.Values(name)); n != 1 {
					t.Errorf("%s, %s, %s: %d samples, want 1", run.Title, row.Metric.Name, name, n)
				}
			}
		}
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// TestAgentSections wants Jackfield beside everybody whom there is, and targets only where there is one.
func TestAgentSections(t *testing.T) {
	everybody := []peer.Peer{
		peer.FRP{}, peer.Chisel{}, peer.SSH{}, peer.FRP{Plain: true}, peer.JackfieldAgent{}, peer.JackfieldAgent{Plain: true},
	}
	for _, c := range []struct {
		name  string
		peers []peer.Peer
		want  []string // of each section: the reference, the judged one, the target of a download
	}{
		{"all", everybody, []string{
			"frp, TLS; jackfield, TLS; ≥ 2 ×", "chisel, encrypted; jackfield, TLS; ≥ 2 ×", "ssh -R, encrypted; jackfield, TLS; ",
			"frp, plain; jackfield, plain; ≥ 1 ×",
		}},
		{"without frp", slices.Concat(everybody[1:3], everybody[4:]), []string{
			"chisel, encrypted; jackfield, TLS; ≥ 2 ×", "ssh -R, encrypted; jackfield, TLS; ", "jackfield, TLS; jackfield, plain; ",
		}},
	} {
		names, _ := doubled(c.peers)
		all := &compare.Result{Contestants: names, Rows: []compare.Row{{Metric: compare.Metric{Name: bulk1}, Samples: make(map[string][]compare.Sample)}}}
		for _, name := range names {
			all.Rows[0].Samples[name] = []compare.Sample{{Value: 1}}
		}
		var got []string
		for _, s := range sections(all, c.peers) {
			row := s.Result.Rows[0]
			got = append(got, strings.Join([]string{s.Result.Contestants[0], s.judged[0], row.Metric.Target.String()}, "; "))
			for _, name := range s.Result.Contestants {
				if len(row.Values(name)) != 1 {
					t.Errorf("%s, %s: %s has no sample", c.name, s.Title, name)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: sections %q", c.name, got)
		}
	}
}

// TestQuickStore runs the whole scenario: every sample can be taken of everything that has it.
func TestQuickStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "store", "--quick", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"nats-server" + twin, "jackfield, memory", "jackfield, embedded", "jackfield, cluster", "write until a watch has told it",
		"Ratios to the file alone", "no such user", "100 wrong passwords", "Ratios to 2 ask for its health",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, run := range saved.Runs {
		if len(run.Result.Failures) > 0 {
			t.Errorf("%s: samples failed: %q", run.Title, run.Result.Failures)
		}
		for _, row := range run.Result.Rows {
			rows++
			for _, name := range run.Result.Contestants {
				want := 2
				if name == fileAlone && row.Metric.Unit == "1/s" {
					want = 0 // nothing of it is in the store
				}
				if n := len(row.Values(name)); n != want {
					t.Errorf("%s, %s, %s: %d samples, want %d", run.Title, row.Metric.Name, name, n, want)
				}
			}
		}
	}
	if rows != 2*8+2*3+1+4 {
		t.Errorf("%d rows", rows)
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}

// TestQuickConnect runs the whole scenario: every sample can be taken of all programs.
func TestQuickConnect(t *testing.T) {
	if err := (peer.HAProxy{}).Installed(); err != nil {
		live.Missing(t, "haproxy", "run bench/peers.sh as root")
	}
	file := filepath.Join(t.TempDir(), "samples.json")
	dir := open(t)
	t.Setenv("TMPDIR", dir)
	out, err := bench(t, "connect", "--quick", "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HAProxy version", "haproxy" + twin, "asks nobody who they are", "upload, 16 connections", "resumed, 4 at a time"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved report
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	if len(saved.Runs) != 1 || len(saved.Runs[0].Result.Rows) != 9 {
		t.Fatalf("the file holds %s", text)
	}
	result := saved.Runs[0].Result
	if len(result.Failures) > 0 {
		t.Errorf("samples failed: %q", result.Failures)
	}
	for _, row := range result.Rows {
		for _, name := range result.Contestants {
			if n := len(row.Values(name)); n != 2 {
				t.Errorf("%s, %s: %d samples, want 2", row.Metric.Name, name, n)
			}
		}
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("files are left: %v, %v", rest, err)
	}
}
