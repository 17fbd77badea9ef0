"""How the cost grows: curves over rows, users, sessions, policies, embeds, widths, answers, clients and workers."""
