"""The things a watch is made of, one file each."""
