"""What the commands call: plan, launch, resume, replay and judge a sweep."""
