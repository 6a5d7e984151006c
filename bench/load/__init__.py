"""What the benches of the service share: databases, services under load, wrk, the report."""
