"""Inside the batch: the running rows, the tensors that they share, and the objective computed for all at once."""
