data_dir             = env("JACKFIELD_TEST_NOT_SET")
max_sessions_message = file("testdata/nothing-here")
max_rate             = fil("x")

audit {
  path = file("included")
}
