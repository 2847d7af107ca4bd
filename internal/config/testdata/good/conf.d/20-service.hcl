data_dir = "state"
rule "allow" { from = ["127.0.0.1"] }

service "echo" {
  listeners = ["mux"]
  builtin   = "echo"
}
