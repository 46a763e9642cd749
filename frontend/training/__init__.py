"""What the Train and Models pages share: datasets, training jobs, model cards."""
