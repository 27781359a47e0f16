"""What is asked of Optuna: the search space, the study, the baselines, and which trials are best."""
