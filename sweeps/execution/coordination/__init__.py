"""The coordinator's parts: trials on their way, their setbacks, what stands in the store, how far it all is."""
