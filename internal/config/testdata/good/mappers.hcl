mapper "corp" {
  command = ["authz"]
}

mapper "unused" {
  command = ["/bin/false"]
}

listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}

station "fpga-1" {
  lease     = "none"
  listeners = ["mux"]
  mapper    = "CORP"
  service "time" {
    builtin = "time"
  }
}
