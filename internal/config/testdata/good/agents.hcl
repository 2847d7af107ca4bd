listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:8443"
  agents   = false
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

# Nothing lets this one in.
agent "lab-pi" {}

# Nobody is ever the owner of its enrolment there.
agent "plant-3" {
  address   = "plant-3"
  key_file  = "plant-3.key"
  offers    = ["*"]
  listeners = ["mux"]
  rule "allow" { groups = ["lab"] }
}

agent "plant-4" {
  address    = "[2001:db8::4]"
  key_file   = "plant-4.key"
  encryption = "none"
}

service "enrolled" {
  listeners = ["mux"]
  agent     = "any-other"
}
