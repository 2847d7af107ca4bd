package packaging

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testPages wants pages that mandoc has nothing against, for every command that --help lists, and that refer to pages that
// there are.
func testPages(t *testing.T, dir string) {
	pages := files(t, dir, "man/*.[15]")
	run(t, exec.Command(program(t, "mandoc"), append([]string{"-T", "lint", "-W", "warning"}, pages...)...))

	var names []string
	for _, page := range pages {
		names = append(names, filepath.Base(page))
	}
	for _, command := range commandsOf(t, dir) {
		if name := "jackfield-" + command + ".1"; !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	reference := regexp.MustCompile(`\b(jackfield[a-z.-]*)\((\d)\)`)
	for _, page := range pages {
		text := run(t, exec.Command("mandoc", "-T", "ascii", "-O", "width=400", page))
		for _, found := range reference.FindAllStringSubmatch(unstruck(text), -1) {
			if name := found[1] + "." + found[2]; !slices.Contains(names, name) {
				t.Errorf("%s refers to %s, which does not exist", filepath.Base(page), name)
			}
		}
	}
}

// unstruck takes away that which makes letters bold or underlined on a printer.
func unstruck(text string) string { return regexp.MustCompile(`.\x08`).ReplaceAllString(text, "") }

// commandsOf are the first words of the commands that --help lists.
func commandsOf(t *testing.T, dir string) []string {
	t.Helper()
	help := run(t, exec.Command(filepath.Join(dir, "jackfield"), "--help"))
	_, list, _ := strings.Cut(help, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var commands []string
	for line := range strings.Lines(list) {
		if command := strings.Fields(line)[0]; command != "help" {
			commands = append(commands, command)
		}
	}
	if len(commands) < 20 {
		t.Fatalf("--help lists only %v", commands)
	}
	return commands
}

// testCompletions has each shell read the file that is for it.
func testCompletions(t *testing.T, dir string) {
	for shell, name := range map[string]string{"bash": "jackfield.bash", "zsh": "_jackfield", "fish": "jackfield.fish"} {
		file := filepath.Join(dir, "completions", name)
		run(t, exec.Command(program(t, shell), "-n", file))
		if !strings.Contains(read(t, file), "__complete") {
			t.Errorf("%s asks jackfield for nothing", name)
		}
	}
}
