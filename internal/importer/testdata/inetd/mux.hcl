# Written by jackfield import inetd.
# Source: mux.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# mux.conf:1
listener "tcpmux" {
  protocol = "tcpmux"
  listen   = ":1"
}

# mux.conf:2: one with mux.conf:1, for both families of addresses

# mux.conf:3
listener "tcpmux-2" {
  # not translated: the pause of ten minutes after nowait.100, mux.conf:3: what exceeds the rate is refused
  protocol = "tcpmux"
  listen   = "10.0.0.1:1"
  max_rate = "100/m"
}

# mux.conf:4
listener "echo" {
  protocol = "tcp"
  listen   = "0.0.0.0:7"
  service  = "echo-2"
}

service "echo-2" {
  # named otherwise: echo, mux.conf:4
  builtin = "echo"
}

# mux.conf:5
service "echo" {
  listeners = ["tcpmux", "tcpmux-2"]
  builtin   = "echo"
}

# mux.conf:6
service "my-svc-2" {
  # named otherwise: my_svc, mux.conf:6: clients must ask for my-svc-2
  listeners = ["tcpmux", "tcpmux-2"]
  command   = ["/bin/date"]
  mode      = "plus"
  user      = "nobody"
  stderr    = "socket"
}

# mux.conf:7
service "my-svc" {
  listeners = ["tcpmux", "tcpmux-2"]
  command   = ["/bin/date"]
  mode      = "plus"
  user      = "nobody"
  stderr    = "socket"
}

# mux.conf:8
service "help-2" {
  # named otherwise: help, mux.conf:8: clients must ask for help-2
  listeners = ["tcpmux", "tcpmux-2"]
  command   = ["/bin/date"]
  mode      = "dedicated"
  user      = "nobody"
  stderr    = "socket"
}

# not translated: tcpmux/+ stream tcp nowait nobody /bin/date date, mux.conf:9: the name is missing
