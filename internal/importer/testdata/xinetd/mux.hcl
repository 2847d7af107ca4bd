# Written by jackfield import xinetd.
# Source: mux.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# mux.conf:1
listener "tcpmux" {
  protocol     = "tcpmux"
  listen       = "[::]:1"
  max_sessions = 100
  rule "deny" { from = ["0.0.0.0/0"] }
  rule "allow" { from = ["2001:db8::/32"] }
}

# mux.conf:13: defaults

# mux.conf:18
service "plus-svc" {
  # named otherwise: plus_svc, mux.conf:18: clients must ask for plus-svc
  listeners = ["tcpmux"]
  command   = ["/bin/date"]
  mode      = "plus"
  user      = "nobody"
  stderr    = "socket"
  env_keep  = ["HOME"]
}

# mux.conf:29
service "forward" {
  listeners = ["tcpmux"]
  address   = "db.example.com:5432"
  rule "deny" { from = ["192.168.1.2", "192.168.1.3", "192.168.1.1"] }
  rule "allow" {}
}
