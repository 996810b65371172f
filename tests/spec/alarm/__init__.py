"""The alarm cases, told as a nurse would tell them."""
