user = "daemon" # whose the server is

user "Ann.Example@lab-1.example.org" {
  groups        = ["Lab"]
  admin         = "true"
  password_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbiBieXRlcyBvaw$dGhpcnR5LXR3byBieXRlcyBtYWtlIHRoZSBoYXNoIG8"
}

user "0bob" {}

group "lab" {
  members = ["0BOB", "in-the-store"]
}

# A user and a group may have one name.
group "0bob" {
  members = ["0bob"]
}
