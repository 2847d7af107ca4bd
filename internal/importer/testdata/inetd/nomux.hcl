# Written by jackfield import inetd.
# Source: nomux.conf
# Read the comments, above all "not translated", then run: jackfield check FILE

# nomux.conf:1
service "date" {
  # published nowhere: the source has no tcpmux entry to reach it by
  command = ["/bin/date"]
  mode    = "plus"
  user    = "guest"
  stderr  = "socket"
}
