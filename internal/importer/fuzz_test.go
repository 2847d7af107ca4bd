package importer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
)

func FuzzInetd(f *testing.F)  { fuzz(f, "inetd", options.Inetd) }
func FuzzXinetd(f *testing.F) { fuzz(f, "xinetd", options.Xinetd) }

// fuzz checks that whatever is read, HCL comes out, with as many blocks as the result says.
func fuzz(f *testing.F, kind string, run importFunc) {
	sources, _ := filepath.Glob(filepath.Join("testdata", kind, "*.conf"))
	for _, path := range sources {
		source, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		result, err := run(File{Name: "fuzz.conf", Data: source})
		if err != nil {
			return
		}
		file, diagnostics := hclparse.NewParser().ParseHCL(result.hcl, "out.hcl")
		if diagnostics.HasErrors() {
			t.Fatalf("%v\n%s", diagnostics, result.hcl)
		}
		content, _, _ := file.Body.PartialContent(blocksOfOutput)
		if n := len(content.Blocks); n != result.Listeners+result.Services {
			t.Fatalf("%d blocks, want %d listeners and %d services:\n%s", n, result.Listeners, result.Services, result.hcl)
		}
	})
}

var blocksOfOutput = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "listener", LabelNames: []string{"name"}}, {Type: "service", LabelNames: []string{"name"}},
}}
