"""What is old goes: days of invocations and predictions, then profiles and results, by age and by bytes."""
