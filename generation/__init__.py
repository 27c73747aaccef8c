"""Drawing: the job queue, the step engine and the model families."""
