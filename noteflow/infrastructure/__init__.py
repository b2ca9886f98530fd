"""The ground the domain stands on: PostgreSQL below, Redis beside."""
