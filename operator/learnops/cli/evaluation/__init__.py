"""`learnops evaluate`: the shipped decision engine over a run log, without a cluster."""
