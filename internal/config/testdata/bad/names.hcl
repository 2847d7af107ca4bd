listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

listener "MUX" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:01078"
}

service "help" {
  listeners = ["mux"]
  builtin   = "echo"
}

service "console.fpga-1" {
  listeners = ["mux"]
  builtin   = "echo"
}

service "-x-" {
  listeners = ["mux"]
  builtin   = "echo"
}

service "echo" {
  listeners = ["mux", "Mux"]
  builtin   = "echo"
}

service "Echo" {
  listeners = ["mux"]
  builtin   = "echo"
}

station "s" {
  lease     = "none"
  listeners = ["mux"]
  service "a" { builtin = "time" }
  service "A" { builtin = "time" }
}

station "S" {
  lease = "none"
}

service {
  builtin = "echo"
}
