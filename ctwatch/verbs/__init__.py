"""One file per verb: it declares the options, loads, looks, acts and shows.

Only click is imported with these modules; what a command needs, that command imports, so that
`--help`, `--version` and completion start at once.
"""
