package packaging

import (
	"fmt"
	"strings"
	"testing"
)

// A unit is the section [Service] of a unit of systemd.
type unit map[string]string

func parseUnit(t *testing.T, text string) unit {
	t.Helper()
	u := unit{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "[Service]" {
			u[key] = value
		}
	}
	for _, key := range []string{"User", "Group", "UMask", "AmbientCapabilities", "CapabilityBoundingSet", "ExecStart"} {
		if u[key] == "" {
			t.Fatalf("the unit has no %s", key)
		}
	}
	return u
}

// command is what one of the unit's commands is to systemd: as its user, with its privileges.
func (u unit) command(key string) []string {
	return append([]string{
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"setpriv", "--reuid=" + u["User"], "--regid=" + u["Group"], "--init-groups", "--no-new-privs",
		"--bounding-set=" + only(u["CapabilityBoundingSet"]),
		"--inh-caps=" + only(u["AmbientCapabilities"]), "--ambient-caps=" + only(u["AmbientCapabilities"]),
		"sh", "-c", fmt.Sprintf(`umask %s && exec "$@"`, u["UMask"]), "sh",
	}, strings.Fields(u[key])...)
}

// only is setpriv's way to say that there are these capabilities and no others.
func only(capabilities string) string {
	list := "-all"
	for _, c := range strings.Fields(capabilities) {
		list += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	return list
}
