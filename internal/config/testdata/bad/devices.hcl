listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078-1079"
}

listener "field" {
  protocol       = "mihini"
  listen         = "127.0.0.1:2065"
  listen_timeout = "1ms"
  service        = "telnet"
}

listener "none" {
  protocol = "tcp"
  listen   = "127.0.0.1:7000"
}

listener "both" {
  protocol = "tcp"
  listen   = "127.0.0.1:7001"
  service  = "telnet"
  services = ["telnet"]
}

listener "range" {
  protocol  = "tcp"
  listen    = "127.0.0.1:7002-7004"
  services  = ["telnet", "unknown"]
  when_down = "wait"
}

listener "backwards" {
  protocol = "tcp"
  listen   = "127.0.0.1:7009-7008"
  services = ["telnet"]
}

listener "one-service" {
  protocol = "tcp"
  listen   = "127.0.0.1:7010-7011"
  service  = "telnet"
}

device "a" {
  from = ["10.0.0.0/8"]
}

device "b" {
  listeners = ["field"]
  from      = ["10.1.2.3"]
}

device "c" {
  listeners = ["mux", "nosuch"]
  on_return = "ignore"
  linger    = "1ms"
}

service "telnet" {
  device              = "d"
  address             = ["127.0.0.1:23", ":telnet"]
  dial_timeout        = "5s"
  send_proxy_protocol = "v1"
}

service "field" {
  listeners = ["field"]
  device    = "a"
  address   = "unix:/run/x"
}

service "program" {
  listeners = ["mux"]
  device    = "a"
  command   = ["/bin/cat"]
}
