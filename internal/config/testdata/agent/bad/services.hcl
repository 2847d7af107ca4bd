alow   = ["127.0.0.1:22"]
allow  = []

service "a.b.c" {
  address = "127.0.0.1:80"
}

service "help" {
  address = "127.0.0.1:80"
}

service "both" {
  address = "127.0.0.1:80"
  command = ["/bin/cat"]
}

service "none" {
  description = "two\nlines"
}

service "web" {
  address    = ["127.0.0.1:80", "unix:relative"]
  umask      = "022"
  kill_grace = "1s"
  limits { nofile = 5 }
}

service "WEB" {
  command = ["./cat", ""]
  mode    = "dedicated"
  sockenv = true
  agent   = "other"
}

mihini {
  server = ":2065"
  local  = "telnet"
}

listener "web" {}

log { level = "loud" }
