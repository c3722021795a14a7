"""A stand-in for Harbor 2.15: what Hubwright uses of its API, in front of the sandbox's real registry. A test part."""
