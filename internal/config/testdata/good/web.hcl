listener "web" {
  protocol = "https"
  listen   = ":8443"
  rule "allow" { users = ["ann"] }
}

listener "own-certificate" {
  protocol         = "https"
  listen           = ":8444"
  certificate_file = "certificates/jackfield.pem"
  key_file         = "/etc/jackfield.key"
}

listener "local" {
  protocol = "http"
  listen   = "localhost:8080"
  names    = ["Jackfield.example.org", "2001:DB8:0::1"]
  rule "allow" { groups = ["lab"] }
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

listener "field" {
  protocol = "mihini"
  listen   = ":2065"
}

listener "field-tls" {
  protocol         = "mihini"
  listen           = ":2066"
  tls              = "true"
  min_tls          = "1.2"
  certificate_file = "field.pem"
  key_file         = "field.key"
}

listener "unnamed-tls" {
  protocol = "mihini"
  listen   = "[2001:db8::1]:2066"
  tls      = true
}

# They share listeners with TLS only.
device "anywhere" {
  listeners = ["field-tls"]
}

device "also-plain" {
  from = ["10.0.0.1"]
}

device "other-address" {
  listeners = ["field", "field-tls"]
  from      = ["10.0.0.2"]
}

rule "deny" { users = ["guest"] }
rule "allow" {}

service "echo" {
  listeners = ["web", "local", "mux"]
  builtin   = "echo"
  rule "allow" { groups = ["lab"] }
}

service "time" {
  listeners = ["mux"]
  builtin   = "time"
  rule "allow" { groups = ["lab"] }
}

station "s" {
  lease     = "none"
  listeners = ["local"]
  rule "allow" { users = ["*"] }
  service "time" { builtin = "time" }
}
