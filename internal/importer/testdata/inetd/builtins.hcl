# Written by jackfield import inetd.
# Source: builtins.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# builtins.conf:2
listener "tcpmux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1"
}

# builtins.conf:3
service "daytime" {
  listeners               = ["tcpmux"]
  builtin                 = "daytime"
  max_sessions            = 5
  max_sessions_per_source = 2
  max_rate_per_source     = "60/m"
}

# builtins.conf:4
listener "echo" {
  protocol = "tcp"
  listen   = "0.0.0.0:7"
  service  = "echo"
}

service "echo" {
  builtin = "echo"
}

# builtins.conf:5
listener "time" {
  protocol = "tcp"
  listen   = "[::]:37"
  service  = "time"
  rule "deny" { from = ["0.0.0.0/0"] }
  rule "allow" {}
}

service "time" {
  # not translated: the pause of ten minutes after nowait.600, builtins.conf:5: what exceeds the rate is refused
  builtin  = "time"
  max_rate = "600/m"
}

# builtins.conf:6
listener "discard" {
  protocol = "tcp"
  listen   = "localhost:9"
  service  = "discard"
}

service "discard" {
  # not translated: further addresses of localhost, builtins.conf:6: a listener has one, the first
  builtin = "discard"
}
