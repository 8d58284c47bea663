"""The one place that knows the files of a run."""
