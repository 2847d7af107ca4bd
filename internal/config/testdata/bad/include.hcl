include = ["none/*.hcl", "missing.hcl", "included/[a.hcl", "included/*.conf", 7]

data_dir = "/a"
