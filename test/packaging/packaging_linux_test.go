package packaging

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jackfield/test/live"
)

func TestMain(m *testing.M) {
	live.Main(m, nil)
}

const project = "../.."

// The versions of the package, the second of which is the higher one.
const (
	version = "1.0.0"
	later   = "1.1.0"
)

// TestPackaging builds once what all its parts try. They are run one after the other, for the servers have the ports that
// the packaged configuration says.
func TestPackaging(t *testing.T) {
	dir := t.TempDir()
	makeAll(t, dir)
	for _, part := range []struct {
		name string
		test func(*testing.T, string)
	}{
		{"pages", testPages},
		{"completions", testCompletions},
		{"program", testProgram},
		{"third party", testThirdParty},
		{"the same bytes", testSame},
		{"debian", testDebian},
		{"systemd", testSystemd},
		{"container", testContainer},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, dir) })
	}
}

// makeAll has make build everything into dir, and the package in its later version, too. The program is compiled with the
// flags of "make cross", which has compiled most of it already.
func makeAll(t *testing.T, dir string) {
	t.Helper()
	script := `make -C "$1" deb image BUILD="$2" FLAGS= VERSION="$3" && "$1/packaging/deb.sh" "$2" "$4"`
	run(t, building("sh", "-c", script, "sh", project, dir, version, later))
}

// building is a command that builds at a certain date, with little compression.
func building(command ...string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAKE") { // we are no part of the make that runs the tests
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "SOURCE_DATE_EPOCH=1700000000", "DPKG_DEB_COMPRESSOR_TYPE=none")
	return cmd
}

// run runs a command that must succeed, and returns what it has printed.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// program is the path of a program that the test needs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		live.Missing(t, name, "run make peers")
	}
	return path
}

// files are the files that match a pattern, of which there must be some.
func files(t *testing.T, pattern ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(found) == 0 {
		t.Fatalf("%v: %v", pattern, err)
	}
	return found
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testProgram wants a program that needs nothing of the system that it is put into.
func testProgram(t *testing.T, dir string) {
	file, err := elf.Open(filepath.Join(dir, "jackfield"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("the program is linked with %v (%v)", libraries, err)
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("the program wants a dynamic linker")
		}
	}
}

// testThirdParty wants every module that the program was built from in the list of licences.
func testThirdParty(t *testing.T, dir string) {
	list := read(t, dir, "third-party.txt")
	modules := 0
	for line := range strings.Lines(run(t, exec.Command("go", "version", "-m", filepath.Join(dir, "jackfield")))) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "dep" {
			continue
		}
		modules++
		for _, wanted := range []string{"  " + fields[1] + " " + fields[2] + "\n", "=== " + fields[1] + " " + fields[2] + ": "} {
			if !strings.Contains(list, wanted) {
				t.Errorf("%q is not there", wanted)
			}
		}
	}
	if modules < 10 {
		t.Errorf("only %d modules were listed", modules)
	}
}

// testSame builds the package and the container's file system twice: the bytes must be the same. The sources are copies, for
// the documents among them may be worked on.
func testSame(t *testing.T, dir string) {
	sources := t.TempDir()
	for _, name := range []string{"packaging", "docs", "README.md", "CHANGELOG.md", "LICENSE"} {
		run(t, exec.Command("cp", "-r", filepath.Join(project, name), sources))
	}
	builds := []string{t.TempDir(), t.TempDir()}
	for _, b := range builds {
		script := `cp -r "$1/jackfield" "$1/man" "$1/completions" "$1/third-party.txt" "$2" &&
			packaging/deb.sh "$2" "$3" && packaging/rootfs.sh "$2"`
		cmd := building("sh", "-c", script, "sh", dir, b, version)
		cmd.Dir = sources
		run(t, cmd)
	}
	for _, name := range []string{filepath.Base(deb(t, builds[0], version)), "rootfs.tar"} {
		if read(t, builds[0], name) != read(t, builds[1], name) {
			t.Errorf("%s is another one when it is built again", name)
		}
	}
}

// TestVersions has dpkg compare the versions of packages. Each is higher than the one before.
func TestVersions(t *testing.T) {
	t.Parallel()
	last := "0~"
	for _, commit := range []struct{ described, time string }{
		{"dev", "0"},
		{"fedcba9", "1700000000"},
		{"1234567-dirty", "1700086400"},
		{"v0.9.0", "1700086401"},
		{"v1.0.0-rc1", "1700086402"},
		{"v1.0.0-rc1-3-g1234567", "1700086403"},
		{"v1.0.0", "1700086404"},
		{"v1.0.0-5-g1234567", "1700086405"},
		{"v1.0.0-5-g1234567-dirty", "1700086406"},
		{"v1.0.0-12-gfedcba9", "1700086407"},
		{"1.0.1", "1700086408"},
	} {
		script := exec.Command(filepath.Join(project, "packaging/debian/version.sh"), commit.described, commit.time)
		next := strings.TrimSpace(run(t, script))
		if out, err := exec.Command("dpkg", "--compare-versions", last, "lt", next).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s, of %s, does not come after %s: %v\n%s", next, commit.described, last, err, out)
		}
		last = next
	}
}

// deb is the package of a version.
func deb(t *testing.T, dir, version string) string {
	t.Helper()
	return files(t, dir, "jackfield_"+version+"-1_*.deb")[0]
}
