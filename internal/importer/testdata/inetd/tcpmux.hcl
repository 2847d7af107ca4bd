# Written by jackfield import inetd.
# Source: tcpmux.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# tcpmux.conf:2
listener "tcpmux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1"
}

# tcpmux.conf:3
service "plussvc" {
  listeners = ["tcpmux"]
  command   = ["/usr/lib/plus", "one"]
  arg0      = "plussvc"
  mode      = "plus"
  user      = "root"
  stderr    = "socket"
}

# tcpmux.conf:4
service "dedsvc" {
  listeners = ["tcpmux"]
  command   = ["/usr/lib/dedicated"]
  arg0      = "dedsvc"
  mode      = "dedicated"
  user      = "root"
  stderr    = "socket"
}
