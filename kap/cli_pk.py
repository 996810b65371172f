"""The commands of `kap pk`: what published models say, with what they are."""
