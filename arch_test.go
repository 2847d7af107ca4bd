package jackfield_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "jackfield"

// TestImports holds the layout: who may import whom. A new rule is a line in forbidden.
func TestImports(t *testing.T) {
	packages := listImports(t)
	if len(packages) < 10 {
		t.Fatalf("only %d packages were listed", len(packages))
	}
	for pkg, imports := range packages {
		for _, imported := range imports {
			if why := forbidden(pkg, imported); why != "" {
				t.Errorf("%s imports %s: %s", pkg, imported, why)
			}
		}
	}
}

func TestImportRulesBite(t *testing.T) {
	for _, broken := range [][2]string{
		{"wire/tcpmux", "jackfield"},
		{"wire/tcpmux", "jackfield/internal/gateway"},
		{"wire/tcpmux", "github.com/spf13/cobra"},
		{"wire/mihini", "github.com/jcmturner/gokrb5/v8/types"},
		{"", "jackfield/internal/relay"},
		{"internal/gateway", "jackfield/internal/access"},
		{"internal/gateway", "github.com/hashicorp/hcl/v2"},
		{"internal/listen/tcp", "jackfield/internal/listen/tcpmux"},
		{"internal/route/dial", "jackfield/internal/route/builtin"},
		{"internal/listen/tcp", "jackfield/internal/route/dial"},
		{"internal/route/dial", "jackfield/internal/listen/tcp"},
		{"internal/admin", "jackfield/internal/cli"},
		{"internal/server", "jackfield/internal/cli"},
		{"cmd/jackfield", "jackfield/internal/server"},
		{"internal/admin", "jackfield/internal/server"},
		{"internal/gateway", "jackfield/internal/listen/tcp"},
		{"internal/config", "jackfield/internal/route/command"},
		{"internal/admin", "jackfield/internal/listen/tcpmux"},
		{"cmd/jackfield", "jackfield/internal/route/command/forkserver"},
		{"internal/access", "github.com/nats-io/nats.go"},
		{"internal/util", "fmt"},
	} {
		pkg := path.Join(module, broken[0])
		if forbidden(pkg, broken[1]) == "" {
			t.Errorf("%s may import %s", pkg, broken[1])
		}
	}
	for _, fine := range [][2]string{
		{"wire/tcpmux", "golang.org/x/sys/unix"},
		{"wire/gssapi", "github.com/jcmturner/gokrb5/v8/types"},
		{"wire/lab", "jackfield/wire/gssapi"},
		{"internal/gateway", "jackfield/internal/relay"},
		{"internal/listen/tcp", "jackfield/internal/listen"},
		{"cmd/jackfield", "jackfield/internal/cli"},
		{"internal/cli", "jackfield/internal/server"},
		{"internal/cli", "jackfield/internal/route/dial"},
		{"internal/server", "jackfield/internal/listen/tcpmux"},
		{"internal/server", "jackfield/internal/route/command"},
		{"internal/route/command", "jackfield/internal/route/command/forkserver"},
		{"internal/store/jetstream", "github.com/nats-io/nats.go"},
	} {
		pkg := path.Join(module, fine[0])
		if why := forbidden(pkg, fine[1]); why != "" {
			t.Errorf("%s may not import %s: %s", pkg, fine[1], why)
		}
	}
}

// forbidden says why pkg may not import imported; empty if it may. Both are full import paths.
func forbidden(pkg, imported string) string {
	from := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
	to, ours := strings.CutPrefix(imported, module+"/")
	if imported == module {
		to, ours = "", true
	}
	family := path.Dir(from)
	switch {
	case isOneOf(path.Base(from), "util", "utils", "common", "helper", "helpers", "share"):
		return "a package's name says what it is for"
	case strings.HasPrefix(from, "wire/"):
		return forbiddenInWire(from, imported, to, ours)
	case from == "" && ours:
		return "the root imports nothing of the module"
	case from == "internal/gateway" && ours && !isOneOf(to, "", "internal/relay"):
		return "the gateway imports the root and the relay only"
	case from == "internal/gateway" && isThirdParty(imported):
		return "the gateway needs no other module"
	case isOneOf(family, "internal/listen", "internal/route") && isOneOf(path.Dir(to), "internal/listen", "internal/route"):
		return "listeners and routes do not know each other"
	case ours && to == "internal/cli" && from != "cmd/jackfield":
		return "only main imports the command line"
	case ours && to == "internal/server" && from != "internal/cli":
		return "only the command line imports the server"
	case ours && isListenerOrRoute(to) && !isOneOf(from, "internal/server", "internal/cli") && !strings.HasPrefix(to, from+"/"):
		return "only the server and the command line know listeners and routes"
	case strings.HasPrefix(imported, "github.com/nats-io/") && !isOneOf(from, "internal/store/jetstream", "bench"):
		return "only the store knows NATS"
	}
	return ""
}

func forbiddenInWire(from, imported, to string, ours bool) string {
	switch {
	case ours && !strings.HasPrefix(to, "wire/"):
		return "a protocol library knows nothing of the gateway"
	case ours || !isThirdParty(imported) || strings.HasPrefix(imported, "golang.org/x/"):
		return ""
	case from == "wire/gssapi" && strings.HasPrefix(imported, "github.com/jcmturner/gokrb5/"):
		return ""
	}
	return "a protocol library uses the standard library and golang.org/x"
}

func isListenerOrRoute(to string) bool {
	return strings.HasPrefix(to, "internal/listen/") || strings.HasPrefix(to, "internal/route/")
}

func isThirdParty(imported string) bool {
	host, _, _ := strings.Cut(imported, "/")
	return strings.Contains(host, ".")
}

func isOneOf(s string, list ...string) bool { return slices.Contains(list, s) }

func listImports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		packages[words[0]] = words[1:]
	}
	return packages
}
