listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

listener "one" {
  protocol = "tcp"
  listen   = "127.0.0.1:8081"
  service  = "by-port"
}

listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:8443"
}

service "by-port" {
  address = "127.0.0.1:80"
  web     = true
}

service "by-name" {
  listeners = ["mux"]
  address   = "127.0.0.1:80"
  web       = true
}

service "off" {
  listeners = ["mux"]
  address   = "127.0.0.1:80"
  web       = false
}

service "echo" {
  listeners = ["web"]
  builtin   = "echo"
  web       = true
}

service "quoted" {
  listeners = ["web"]
  address   = "127.0.0.1:80"
  web       = "on"
}

station "s" {
  lease     = "none"
  listeners = ["mux"]
  service "inherits" {
    command = ["/usr/sbin/httpd"]
    web     = true
  }
  service "fine" {
    listeners = ["mux", "web"]
    command   = ["/usr/sbin/httpd"]
    web       = true
  }
}
