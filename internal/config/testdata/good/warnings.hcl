listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}

rule "deny" { users = ["guest"] }
rule "allow" {}

service "nowhere" {
  builtin = "echo"
}

service "here" {
  listeners = ["mux"]
  builtin   = "echo"
  rule "allow" { groups = ["lab"] }
}

station "s" {
  lease     = "none"
  listeners = ["mux"]
  rule "allow" { users = ["*"] }
  service "inside" { builtin = "echo" }
}
