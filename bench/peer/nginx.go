//go:build linux

package peer

import (
	"context"
	"fmt"
	"os"

	"jackfield/bench/process"
)

// nginxStream is where Debian's libnginx-mod-stream puts the module.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// Nginx is nginx with its stream module.
type Nginx struct{}

// Name is "nginx".
func (Nginx) Name() string { return "nginx" }

// Installed looks for nginx and the module.
func (Nginx) Installed() error {
	if _, err := os.Stat(nginxStream); err != nil {
		return fmt.Errorf("nginx's stream module is %w", ErrNotInstalled)
	}
	_, err := find("nginx")
	return err
}

// Version asks nginx -v.
func (Nginx) Version(ctx context.Context) (string, error) {
	path, err := find("nginx")
	if err != nil {
		return "", err
	}
	return versionLine(ctx, "version", path, "-v")
}

// Command turns on the half-close that nginx leaves off. Started by root, nginx drops its workers to a user that the
// configuration names; we name the one that it was started as.
func (Nginx) Command(p Place) (process.Spec, error) {
	path, err := find("nginx")
	if err != nil {
		return process.Spec{}, err
	}
	var user string
	if p.User.root() {
		user = "user root;\n"
	}
	file, err := p.write("nginx.conf", fmt.Sprintf(`load_module %s;
%sdaemon off;
worker_processes 2;
error_log stderr crit;
pid %s/nginx.pid;
events {
    worker_connections 8192;
}
stream {
    server {
        listen %s;
        proxy_pass %s;
        proxy_half_close on;
        proxy_timeout 1h;
    }
}
`, nginxStream, user, p.Dir, p.Listen, p.Service))
	return process.Spec{Path: path, Args: []string{"-p", p.Dir, "-e", "stderr", "-c", file}}, err
}
