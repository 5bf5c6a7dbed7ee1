"""How many timbres there are, and how far apart: examples drawn, heard by a network, and what is fitted to them."""
