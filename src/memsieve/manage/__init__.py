"""What happens to memories between questions, and what stands in for a model there."""
