# Written by jackfield import xinetd.
# Source: loads.conf
# Read the comments, above all "not translated", then run: jackfield check FILE
# not translated: /etc/hosts.allow and /etc/hosts.deny, which xinetd may ask for services without the flag NOLIBWRAP

# loads.conf:2
listener "tcpmux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:21078"
  rule "deny" { from = ["10.9.0.0/16"] }
  rule "allow" {
    from = ["127.0.0.0/8", "10.0.0.0/8"]
    when = hour >= 6 && hour < 9 || hour >= 12 && hour < 23
  }
}

# loads.conf:14
service "echo" {
  # not translated: the pause in cps = 10 60, loads.conf:20: what exceeds the rate is refused
  listeners               = ["tcpmux"]
  builtin                 = "echo"
  max_sessions_per_source = 3
  max_rate                = "10/s"
}

# loads.conf:24
listener "db" {
  protocol = "tcp"
  listen   = "[::]:15432"
  service  = "db"
  rule "deny" { from = ["0.0.0.0/0"] }
  rule "allow" {}
}

service "db" {
  address = "db.example.com:5432"
}
