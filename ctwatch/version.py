"""Which ctwatch this is: said here alone, for the package and for `ctwatch --version`."""

VERSION = "0.1.0"
