listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}

rule "allow" { from = ["::1"] }
