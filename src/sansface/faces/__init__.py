"""On the client: where faces show, which photographs are neutral, and what belongs to the subject."""
