listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

listener "one" {
  protocol = "tcp"
  listen   = "127.0.0.1:23"
  service  = "a"
}

service "a" {
  listeners = ["one"]
  address   = "127.0.0.1:0"
  builtin   = "echo"
}

service "b" {
  listeners           = "mux"
  builtin             = "ecko"
  dial_timeout        = "5s"
  send_proxy_protocol = "v2"
}

service "c" {
  listeners           = ["mux", 5]
  address             = ["a:1", "b", "unix:relative", "x y:1"]
  send_proxy_protocol = "v3"
  idle_timeout        = "-5s"
  max_duration        = "0s"
  dial_timeout        = "1h"
  description         = "two\nlines"
}

service "d" {
  listeners = []
  address   = { host = "a" }
  command   = ["/bin/true"]
  rule "allow" { services = ["d"] }
}

service "e" {
  listeners = ["mux"]
  address   = 80
}

service "f" {
  listeners = [for l in ["mux"] : l if l == "none"]
  address   = [mux]
}
