listener "data" {
  protocol     = "agent-data"
  listen       = "127.0.0.1:8444"
  mapper       = "corp"
  max_sessions = 5
  umask        = "022"
  agents       = true
  names        = ["example.org"]
  limits { nofile = 5 }
  rule "allow" { users = ["ann"] }
}

listener "range" {
  protocol = "agent-data"
  listen   = "127.0.0.1:8445-8446"
}

service "echo" {
  listeners = ["data"]
  builtin   = "echo"
}

device "meter" {
  listeners = ["data"]
}
