"""Who somebody is: users, sessions, tokens and keys; without Flask, and without the data API."""
