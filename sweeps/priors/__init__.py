"""The trained priors that a spec needs: which, how they are trained, and what their calibrated weights mean."""
