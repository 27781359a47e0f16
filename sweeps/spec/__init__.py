"""A sweep's YAML file, read into typed data and checked; every fault at once, each with its line."""
