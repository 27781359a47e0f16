"""One configuration: raw parameters, weighted terms, the core's problems, and the results' metrics and pictures."""
