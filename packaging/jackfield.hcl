# The server's configuration: jackfield.hcl(5), and all of it in /usr/share/doc/jackfield/docs/configuration.md.
#
#   jackfield check /etc/jackfield/jackfield.hcl    shows every mistake at once
#   systemctl reload jackfield                      puts a change to work without losing a connection
#
# As it stands, only this machine is served. Everybody on it may read this file: what is secret belongs into another one,
# which the user jackfield alone may read, and comes in by file("PATH").

data_dir = "/var/lib/jackfield"

# Metrics and health.
admin { listen = "127.0.0.1:9078" }

# Any number of services at one port, by their names. Try: printf 'echo\r\nhello\n' | nc -N 127.0.0.1 1078
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

# The same services for users who have logged in, and the API. The first login, as root:
#   jackfield login https://127.0.0.1:1443 --token-stdin --trust < /var/lib/jackfield/first-token
listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:1443"
}

service "echo" {
  listeners = ["mux", "web"]
  builtin   = "echo"
}

# service "printer" {
#   listeners = ["web"]
#   address   = "10.1.0.7:9100"
#   rule "allow" { groups = ["office"] }
# }
