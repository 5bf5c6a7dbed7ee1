"""The state of the app: one observable `Session`, what a person has set, and what is kept of it."""
